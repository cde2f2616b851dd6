"""A process is killed at every file operation of a save: what is on the disk is the old or the new, and never a mixture."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_run import CONFIG, disturbed, in_memory, on_disk, run

from minilora.files.huggingface import load_base
from minilora.files.peft import load_adapter

WRITE = ["open", "write", "half written", "flush", "fsync", "close"]  # of one file, beside its place
SAVE = ["mkdir", *WRITE, "replace"]


@pytest.fixture(scope="module")
def do():
    """do(task, folder, n, ...) -> the events of a process that is killed at its n-th: see killed.py."""
    command = [sys.executable, str(Path(__file__).with_name("killed.py"))]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # no threads in the process that forks
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:

        def ask(task, folder, n, *needs):
            print(json.dumps([task, str(folder), n, *needs]), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()


def stopped(folder, step):
    """The checkpoint of a run that was politely asked to stop after a step."""
    with pytest.raises(KeyboardInterrupt):
        run(folder, method=disturbed(step, lambda arrays: signal.raise_signal(signal.SIGINT)))
    return on_disk(folder)


def test_a_run_killed_at_any_moment_leaves_the_last_complete_checkpoint_and_ends_in_the_same_bits(do, tmp_path):
    """Six steps, and a save after every other one."""
    events = do("train", tmp_path / "unbroken", 0, 6)
    assert events == ["mkdir", "unlink", *3 * ["step", "step", *SAVE]]  # first a trial, whether there can be a file
    expected = in_memory(run())
    checkpoints = {step: stopped(tmp_path / f"stopped{step}", step) for step in (2, 4)}
    for n in range(1, len(events) + 1):
        folder = tmp_path / str(n)
        assert do("train", folder, n, 6) == events[:n]
        done = 2 * events[: n - 1].count("replace")
        if done:
            assert on_disk(folder) == checkpoints[done]
        else:
            assert not (folder / "checkpoint.safetensors").exists()
        do("train", folder, 0, 6)
        assert on_disk(folder) == expected


def test_a_chain_of_fifty_kills_ends_in_the_same_bits(do, tmp_path):
    steps, rng, done, killed = 100, np.random.default_rng(0), 0, 0
    while killed < 50:
        n = int(rng.integers(1, 3 * len(SAVE)))
        events = do("train", tmp_path, n, steps)
        assert len(events) == n, "there are steps enough for fifty kills"
        killed += 1
        done += 2 * events[:-1].count("replace")
        assert not done and not (tmp_path / "checkpoint.safetensors").exists() or on_disk(tmp_path)["step"] == done
    do("train", tmp_path, 0, steps)
    assert 0 < done < steps and on_disk(tmp_path) == in_memory(run(steps=steps))


def read_adapter(folder):
    """-> the alpha, the numbers."""
    method, arrays = load_adapter(folder, CONFIG)
    return {method.alpha, *(float(number) for array in arrays.values() for number in array.ravel())}


def read_base(folder):
    """-> epsilon, the gains."""
    config, weights = load_base(folder)
    return {config.rms_norm_eps, *(float(number) for array in weights.values() if array.ndim == 1 for number in array)}


@pytest.mark.parametrize(("task", "read"), [("adapter", read_adapter), ("base", read_base)])
def test_a_folder_is_the_old_one_or_the_new_one_or_none(do, tmp_path, task, read):
    do(task, tmp_path / "old", 0, 4.0)
    assert read(tmp_path / "old") == {4.0}
    events = do(task, shutil.copytree(tmp_path / "old", tmp_path / "all"), 0, 8.0)
    assert events == ["mkdir", *WRITE, *WRITE, "unlink", "replace", "replace"]
    for n in range(1, len(events) + 1):
        folder = shutil.copytree(tmp_path / "old", tmp_path / str(n))
        assert do(task, folder, n, 8.0) == events[:n]
        if "unlink" not in events[: n - 1]:
            assert read(folder) == {4.0}
        else:
            with pytest.raises(FileNotFoundError, match="config.json: name the folder that holds it"):
                read(folder)
        do(task, folder, 0, 8.0)
        assert read(folder) == {8.0}
