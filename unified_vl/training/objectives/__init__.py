"""What is trained for beside target tokens, a file each."""
