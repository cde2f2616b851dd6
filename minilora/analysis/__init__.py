"""What a matrix is made of, and what else than low rank it could be made of.

spectrum.py takes a matrix apart into its singular values; subspaces.py compares the directions of two; factorise.py shows where gradient
descent on a pair ends. The ideas that LoRA is compared with follow, each with its link to low rank: structured.py (Kronecker, circulant,
one entry a row), convolution.py (depthwise-separable, separable filters) and winograd.py (fewer multiplications, nothing lost).
NumPy only, on arrays that fit in memory.
"""
