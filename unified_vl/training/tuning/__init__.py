"""Which weights a run trains, and that a checkpoint is of the same ones."""
