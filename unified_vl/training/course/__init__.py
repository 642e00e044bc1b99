"""How long a training goes, and how fast it learns along the way."""
