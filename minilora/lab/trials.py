"""Many trials side by side, each of which is on disk as soon as it is done.

A trial is the keyword arguments of a function, plain values all of them; its result is a dictionary of plain values. Trials run in
processes of their own (joblib), with one thread each for BLAS and for Numba, so that two trials on two cores do not wait for each other. A
run that was stopped, or whose machine went away, is started again with the same folder: what is there is read, the rest is done.
"""

import hashlib
import json
from pathlib import Path

from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from minilora.files.atomic import make_folder, write_json


def key(function, trial):
    """The name of a trial's file: a hash of the function's name and of its arguments."""
    told = json.dumps([f"{function.__module__}.{function.__qualname__}", trial], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def run_trials(function, trials, folder=None, jobs=2, progress=True):
    """function(**trial) for each of the trials -> their rows, {**trial, **result}, in the order of the trials.

    With a `folder`, each row is a file in it, and rows that are there are not computed again. `jobs` processes run at a time. An
    error in a trial stops the run, after the trials that are done have been kept.
    """
    files = [make_folder(folder) / f"{key(function, trial)}.json" if folder else None for trial in trials]
    rows = [read(file) if file and file.is_file() else None for file in files]
    open_ = [i for i, row in enumerate(rows) if row is None]
    bar = tqdm(total=len(trials), initial=len(trials) - len(open_), unit="trial", disable=not progress)
    with bar, parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        done = Parallel(n_jobs=min(jobs, len(open_)) or 1, return_as="generator_unordered")(
            delayed(numbered)(i, function, trials[i]) for i in open_
        )
        for i, result in done:
            rows[i] = {**trials[i], **result}
            if files[i]:
                write_json(files[i], rows[i])
            bar.update()
    return rows


def numbered(i, function, trial):
    """The trial's number and its result: trials come back in the order in which they end."""
    with threadpool_limits(limits=1, user_api="blas"):
        return i, function(**trial)


def read(file):
    """A row that was kept."""
    return json.loads(Path(file).read_text())
