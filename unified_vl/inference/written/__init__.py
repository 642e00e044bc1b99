"""What a model has written, read."""
