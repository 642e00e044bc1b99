"""Videos to frames: which of them are read, and from what files."""
