"""Claims about when to use LoRA, and when not."""
