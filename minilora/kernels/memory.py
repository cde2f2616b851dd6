"""Freed memory is kept for the next step, or the next forward pass.

A step makes hundreds of arrays and drops them again, the same sizes each time. The C library hands large ones straight back to the system,
which clears every page before it lends it out anew: a fifth of a step went into that. Kept, the pages are simply used again. The
process then stays as large as it was at its largest, which a step reaches every time anyhow.

All threads share one arena. A thread's own would be cut into heaps of 64 MB, and a heap that becomes empty goes back to the system whatever
was asked for: a shard that needs more than one heap had its pages cleared at each step.
"""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h of glibc
NEVER = 2**31 - 1


def keep_freed_memory():
    """Ask the C library to keep what is freed. Other libraries than glibc are left as they are."""
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, 2**30)
        library.mallopt(M_TRIM_THRESHOLD, NEVER)
        library.mallopt(M_ARENA_MAX, 1)
