"""What a model learns from another one that is trained already."""
