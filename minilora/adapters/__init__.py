"""Many adapters on one base: attach, swap, mix in a batch, combine, merge."""
