"""Image encoders, a file each: pixels to a grid of features."""
