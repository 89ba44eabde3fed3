"""What version 2 is compared with: other programs that move files, and limits."""
