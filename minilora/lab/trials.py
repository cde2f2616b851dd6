"""Many trials side by side, each of which is on disk as soon as it is done.

A trial is the keyword arguments of a function, plain values all of them; its result is a dictionary of plain values. Trials run in
processes of their own (places.py), with one thread each for BLAS and for Numba (threads.py), so that two trials on two cores do not wait
for each other. A run that was stopped, or whose machine went away, is started again with the same folder: what is there is read, the rest
is done.
"""

import hashlib
import json
from pathlib import Path
from threading import RLock

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import BrokenProcessPool
from tqdm.auto import tqdm

from minilora.files.atomic import make_folder, write_json
from minilora.lab.places import ALL, place
from minilora.lab.threads import one_thread


def key(function, trial):
    """The name of a trial's file: a hash of the function's name and of its arguments."""
    told = json.dumps([f"{function.__module__}.{function.__qualname__}", trial], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def file_of(function, trial, folder):
    return Path(folder) / f"{key(function, trial)}.json"


def run_trials(function, trials, folder=None, jobs=2, progress=True, backend="loky", scheduler=None):
    """function(**trial) for each of the trials -> their rows, {**trial, **result}, in the order of the trials.

    With a `folder`, each row is a file in it, and rows that are there are not computed again. `jobs` processes run at a time, or as many
    as the cluster of `backend` and `scheduler` has (places.py). An error in a trial stops the run, after the trials that are done have been
    kept; so do the death of a process here, as a ChildProcessError, and Ctrl-C. A cluster gives a dead process's trial to another.
    """
    files = [file_of(function, trial, make_folder(folder)) if folder else None for trial in trials]
    rows = [kept(file) if file else None for file in files]
    open_ = [i for i, row in enumerate(rows) if row is None]
    if not open_:
        return rows
    with place(backend, jobs, scheduler) as n_jobs, tqdm(total=len(trials), unit="trial", disable=not progress) as bar:
        bar.update(len(trials) - len(open_))
        n_jobs = n_jobs if n_jobs == ALL else min(n_jobs, len(open_))
        # one at a time, for what joblib packs together comes back together, and would be lost together
        run = Parallel(n_jobs=n_jobs, batch_size=1, return_as="generator_unordered")
        try:
            for i, result in run(delayed(numbered)(i, function, trials[i]) for i in open_):
                rows[i] = {**trials[i], **result}
                if files[i]:
                    write_json(files[i], rows[i])
                bar.update()
        except BrokenProcessPool:
            killed = "a process was killed in the midst of a trial, perhaps for want of memory"
            raise ChildProcessError(f"{killed}; {what_is_left(rows, folder)}") from None
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"stopped; {what_is_left(rows, folder)}") from None
    return rows


def what_is_left(rows, folder):
    """Of a run that has ended too early, in words."""
    done = sum(row is not None for row in rows)
    return f"{done} of {len(rows)} trials are kept in {folder}: start it again to go on" if folder else "nothing was kept"


def numbered(i, function, trial):
    """The trial's number and its result: trials come back in the order in which they end."""
    tqdm.set_lock(RLock())  # its own reaches across processes, and Ctrl-C would leave it behind, with a warning
    with one_thread():
        return i, function(**trial)


def read(file):
    """A row that was kept. ValueError for a file that holds none."""
    try:
        row = json.loads(Path(file).read_text())
    except ValueError:  # not JSON, or not even text
        row = None
    if not row or not isinstance(row, dict):
        raise ValueError(f"{file} holds no row of a table: remove it, and its trial is done anew")
    return row


def kept(file):
    """A row that was kept, or None: what holds none counts as not done."""
    try:
        return read(file)
    except (FileNotFoundError, ValueError):
        return None
