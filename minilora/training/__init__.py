"""Text to learn from, the optimiser and the loop."""
