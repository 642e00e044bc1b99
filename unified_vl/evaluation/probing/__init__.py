"""What images and texts have taught a model, without training it."""
