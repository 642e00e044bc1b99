"""Whose turn it is, a file each schedule; no torch."""
