"""What training does to pictures so that a model knows more than those it has seen."""
