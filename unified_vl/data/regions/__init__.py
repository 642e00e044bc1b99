"""Files of region features, in which images are looked up one at a time."""
