"""What the hooks of a kind are given and give back."""
