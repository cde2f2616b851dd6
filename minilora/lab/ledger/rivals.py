"""Claims about the other ways to fine-tune, side by side."""
