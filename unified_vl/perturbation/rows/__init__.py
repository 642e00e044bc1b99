"""What a row is asked, and which rows are."""
