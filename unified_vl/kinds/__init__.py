"""Kinds of value, a file each: what a field of a spec may hold, from the data to the page."""
