"""The tests; a package, since one of the name `tests` is among what is installed."""
