"""What training alone asks of a model: the loss, and batches without padding."""
