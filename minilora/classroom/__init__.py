"""The exercises: how they are made from solutions, checked, and graded."""
