"""Smaller models made of larger ones: by pruning, and by distillation."""
