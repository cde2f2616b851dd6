"""One thread a trial: what keeps trials that run side by side from waiting for each other's threads.

BLAS and Numba would each take all cores. joblib's own processes are told not to; those of a cluster are not (Dask knows nothing of Numba),
so the trial itself sees to it, and says afterwards what BLAS and Numba had.
"""

import os
import sys
from contextlib import contextmanager

from threadpoolctl import threadpool_info, threadpool_limits


@contextmanager
def one_thread():
    """Inside, BLAS and Numba take one thread each in this process."""
    with threadpool_limits(limits=1, user_api="blas"):
        if "numba" in sys.modules:
            import numba

            before = numba.get_num_threads()
            numba.set_num_threads(1)
            try:
                yield
            finally:
                numba.set_num_threads(before)
        else:  # it reads this when it is imported
            os.environ["NUMBA_NUM_THREADS"] = "1"
            yield


def in_use():
    """How many threads BLAS and Numba take in this process, as they say themselves; None for Numba where it is not used."""
    blas = max((library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"), default=None)
    return {"blas_threads": blas, "numba_threads": sys.modules["numba"].get_num_threads() if "numba" in sys.modules else None}
