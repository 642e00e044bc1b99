"""Which weights a run trains: frozen ones, low-rank adapters, and learning rates by name."""
