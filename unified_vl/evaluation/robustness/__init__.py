"""Scores of perturbed rows beside those of the rows as they are."""
