"""A sweep on a real Dask cluster of two worker processes, one of which is killed in the midst of it."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
from small_run import BASE, CONFIG, TEXT

from minilora.files.huggingface import save_base
from minilora.lab import table
from minilora.lab.places import dask_client
from minilora.lab.trials import read

pytest.importorskip("distributed")

SWEEP = 'base = "small"\ncorpus = "own.txt"\nsteps = 30\nbatch = 8\nlength = 31\nheld_out = 2\nrank = 2\nseed = ' + str(list(range(10)))


def wait_for(what, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.05)
    raise TimeoutError(what)


@pytest.fixture
def start(tmp_path, monkeypatch):
    """start(*arguments) -> a process of python -m ..., which is gone after the test, and the file of what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINILORA_OPS", "reference")
    with ExitStack() as stack:

        def begin(*arguments):
            log = tmp_path / f"{len(list(tmp_path.glob('*.log')))}.log"
            with open(log, "w") as file:
                process = subprocess.Popen([sys.executable, "-m", *arguments], stdout=file, stderr=file)
            stack.callback(lambda: (process.kill(), process.wait()))
            return process, log

        yield begin


@pytest.mark.parametrize("address", ["foo", "", "bar://there:8786", "tcp://there", "tcp://there:port"])
def test_what_is_no_address_is_told_at_once(address):
    with pytest.raises(ValueError, match="is no scheduler's address: give it as tcp://127.0.0.1:8786"):
        dask_client(address)


def test_a_worker_that_is_killed_costs_no_row(start, tmp_path):
    save_base("small", CONFIG, BASE)
    (tmp_path / "own.txt").write_text(TEXT)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    scheduler = tmp_path / "scheduler.json"
    start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(scheduler))
    wait_for(scheduler.is_file)
    arguments = ("--scheduler-file", str(scheduler), "--nthreads", "1", "--no-nanny", "--no-dashboard")
    workers, logs = zip(*(start("distributed.cli.dask_worker", *arguments) for _ in range(2)), strict=True)
    wait_for(lambda: all("Registered to:" in log.read_text() for log in logs))
    address = json.loads(scheduler.read_text())["address"]
    sweep, said = start("minilora", "sweep", "sweep.toml", "--backend", "dask", "--scheduler", address)
    kept = tmp_path / "sweep" / "trials"

    def ran_by(worker):
        return [file for file in kept.glob("*.json") if read(file)["process"].endswith(f":{worker.pid}")]

    wait_for(lambda: all(map(ran_by, workers)))
    before = len(list(kept.glob("*.json")))
    os.kill(workers[0].pid, signal.SIGKILL)
    assert before < 10 and sweep.wait(60) == 0, said.read_text()
    rows = table.load(tmp_path / "sweep" / "table.csv")
    assert [row["seed"] for row in rows] == list(range(10)) and all(row["status"] == "done" for row in rows)
    assert {row["process"].rsplit(":")[-1] for row in rows} == {str(worker.pid) for worker in workers}
    assert all(row["blas_threads"] == 1 for row in rows)
