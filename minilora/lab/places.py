"""Where trials run: in processes on this machine, or on a cluster that is there already. Each is one of joblib's backends.

Dask has been tested with a cluster of two processes on one machine, one of which was killed. Ray is offered as joblib offers it, and has
not been tested here. A cluster's machines need this package, and the same files under the same names.
"""

import re
from contextlib import contextmanager
from importlib.util import find_spec

from joblib import parallel_config

PLACES = ("loky", "dask", "ray")
ALL = -1  # joblib's name for as many as there are
ADDRESS = re.compile(r"(tcp://)?([^/:\s]+|\[[^/\s]+\]):\d+")  # of a host by its name or its number, and a port


@contextmanager
def place(backend="loky", jobs=2, scheduler=None):
    """Inside, joblib runs its tasks there -> how many at a time. ValueError or OSError, in one line, where that cannot be."""
    if backend not in PLACES:
        raise ValueError(f"there is no backend {backend!r}; there are {', '.join(PLACES)}")
    if backend == "loky":
        if scheduler is not None:
            raise ValueError("a scheduler is a cluster's: say which kind of cluster it is, with --backend dask")
        with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
            yield jobs
    elif backend == "dask":
        with dask_client(scheduler) as client, parallel_config("dask", client=client):
            yield ALL
    else:
        need("ray", "ray")
        import ray
        from ray.util.joblib import register_ray

        ray.init(address=scheduler)
        register_ray()
        with parallel_config("ray"):
            yield ALL


def dask_client(scheduler):
    """A connection to a Dask scheduler. ValueError without one, or without Dask; OSError where nobody answers."""
    need("distributed", "dask distributed")
    if scheduler is None:
        raise ValueError("--backend dask goes to a cluster that runs already: name its scheduler, as --scheduler tcp://127.0.0.1:8786")
    if not ADDRESS.fullmatch(scheduler):  # a Client would wait, and leave a traceback
        raise ValueError(f"{scheduler!r} is no scheduler's address: give it as tcp://127.0.0.1:8786")
    from distributed import Client

    try:
        return Client(scheduler, timeout="10s", set_as_default=False)
    except OSError as error:
        raise OSError(f"no Dask scheduler answers at {scheduler}: is it running, and is the address right?") from error


def need(module, packages):
    if find_spec(module) is None:
        raise ValueError(f"this backend needs a package that is not installed: pip install {packages}")
