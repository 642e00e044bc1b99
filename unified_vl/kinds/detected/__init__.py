"""Kinds of what a detector saw in an image."""
