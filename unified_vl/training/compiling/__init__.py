"""Training whose blocks are compiled programs."""
