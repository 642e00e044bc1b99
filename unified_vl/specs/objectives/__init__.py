"""What a task may be trained for beside its target tokens."""
