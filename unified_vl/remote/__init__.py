"""Files by their URL: what may be one, where copies of them lie, and how they come there."""
