"""Train splits that are read file by file, since they are too many or too large to count."""
