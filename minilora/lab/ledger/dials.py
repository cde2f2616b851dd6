"""Claims about the dials: rank, alpha, learning rate, targets."""
