"""What a training can start from instead of random weights: one file a family."""
