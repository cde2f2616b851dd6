"""Compiled twins of the readable functions: same names, same results, hand-written loops that Numba compiles.

What decides whether a loop is fast is whether the compiler may use the processor's vector units. Three things stand in its way, and
compile.py takes them away: the order of additions, the check for a division by zero, and the exponential of the standard library.
"""
