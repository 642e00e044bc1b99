"""What objectives read of a batch: its captions, words, targets and what rows show."""
