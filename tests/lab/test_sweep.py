"""Sweeps: what a file asks for, one line for every mistake, and a sweep that is killed and goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import RLock

import pytest
from small_run import BASE, CONFIG, TEXT
from tqdm.auto import tqdm

from minilora import cli
from minilora.files.huggingface import save_base
from minilora.lab import facets, fit, sweep, table
from minilora.lab.measure import RESULTS
from minilora.lab.trials import file_of, numbered, read, run_trials
from minilora.methods import REGISTRY

TINY = 'base = "small"\ncorpus = "own.txt"\nsteps = 3\nbatch = 2\nlength = 16\nheld_out = 2\nrank = 2\n'
EIGHT = TINY + "seed = [0, 1, 2, 3]\nlearning_rate = [1e-3, 1e-2]\n"


@pytest.fixture(autouse=True)
def shop(tmp_path, monkeypatch):
    """A folder with a small base and a text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINILORA_OPS", "reference")
    save_base("small", CONFIG, BASE)
    (tmp_path / "own.txt").write_text(TEXT)
    return tmp_path


def plan(text):
    with open("sweep.toml", "w") as file:
        file.write(text)
    return sweep.read("sweep.toml")


def run(capsys, *arguments):
    """-> exit code, standard output, standard error."""
    code = cli.main(["sweep", *arguments])
    return code, *capsys.readouterr()


def test_every_combination_of_the_choices_is_a_trial():
    trials = plan(TINY + 'seed = [0, 1]\n[[grid]]\nalpha = [4, 8]\n[[grid]]\nmethod = ["full", "prefix"]\ndial.length = [2, 4]\n')
    assert [(t["method"], t.get("rank"), t.get("alpha"), t.get("dial.length"), t["seed"]) for t in trials] == [
        *(("lora", 2, alpha, None, seed) for seed in (0, 1) for alpha in (4.0, 8.0)),
        *(("full", None, None, None, seed) for seed in (0, 1)),
        *(("prefix", None, None, length, seed) for seed in (0, 1) for length in (2, 4)),
    ]
    assert [t["learning_rate"] for t in trials[::4]] == [1e-2, REGISTRY["full"].learning_rate, REGISTRY["prefix"].learning_rate] and trials[
        6
    ]["length"] == 16
    method, recipe = sweep.settle(trials[6])
    assert (method.name, method.length, recipe.length, recipe.steps) == ("prefix", 2, 16, 3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rnak = 3", "there is no option 'rnak' here; the closest is 'rank'. There are accumulation, alpha, "),
        ("warmpu = 3", "the closest is 'warmup'"),
        ("ratio = 3", "there is no option 'ratio' here"),
        ("[[grid]]\n[[grid]]\nmethod = 'full'\nalpha = 3", "there is no option 'alpha' here"),
        ("dial.rank = 3", "there is no option 'dial.rank' here; the closest is 'rank'"),
        ("dial = 3", "dial is followed by a dot and a name"),
        ("grid = 3", "grid stands in double brackets"),
        ("method = 'lara'", "there is no method 'lara'; the closest is 'lora'. There are adalora, "),
        ("method = 3", "method is 3, and it takes words in quotes"),
        ("alpha = 'much'", "alpha is 'much', and it takes a number, or a list of such"),
        ("seed = 1.5", "seed is 1.5, and it takes a whole number"),
        ("seed = true", "seed is True, and it takes a whole number"),
        ("seed = []", "seed is an empty list: give it at least one value"),
        ("seed = -1", "seed is -1, it must be at least 0"),
        ("alpha = 0", "alpha 0.0 must be above 0"),
        ("targets = 'q_porj'", "'q_porj' matches no module; the closest is 'q_proj'"),
        ("learning_rate = -1", "learning rate -1.0 must be above 0"),
        ("rank_pattern = 3", "rank_pattern is 3, and it takes a table, as {q_proj = 4}"),
        ("seed = ", "Invalid value (at line 8, column"),
    ],
)
def test_a_mistake_in_the_file_gets_one_line_and_nothing_is_run(capsys, shop, line, message):
    (shop / "sweep.toml").write_text(TINY + line + "\n")
    code, out, err = run(capsys, "sweep.toml")
    assert code == 2 and out == "" and err.count("\n") == 1 and err.startswith("minilora: sweep.toml: ") and message in err
    assert not (shop / "sweep").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("rank = 2", "rank = 17"), "rank 17 is outside 1..16"),
        (("length = 16", "length = 40"), "length is 40, and the context has room for 32 tokens"),
        (("own.txt", "pirat"), "no corpus or file is called 'pirat'; the closest is 'pirate'"),
        (("small", "large"), "there is no base called 'large'"),
        (('corpus = "own.txt"', ""), "there is no corpus: say what is to be learned"),
    ],
)
def test_what_training_would_refuse_is_refused_before_any(capsys, shop, changed, message):
    (shop / "sweep.toml").write_text(TINY.replace(*changed))
    code, _, err = run(capsys, "sweep.toml")
    assert code == 2 and err.count("\n") == 1 and message in err and not (shop / "sweep").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.toml"], "there is no file nowhere.toml"),
        (["sweep.toml", "--backend", "spark"], "there is no backend 'spark'; there are loky, dask, ray"),
        (["sweep.toml", "--scheduler", "tcp://127.0.0.1:1"], "say which kind of cluster it is, with --backend dask"),
        (["sweep.toml", "--backend", "dask"], "name its scheduler, as --scheduler tcp://"),
    ],
)
def test_a_mistake_on_the_command_line_gets_one_line(capsys, shop, arguments, message):
    (shop / "sweep.toml").write_text(TINY)
    code, _, err = run(capsys, *arguments)
    assert code == 2 and err.count("\n") == 1 and message in err


def test_a_file_without_a_suffix_is_not_taken_for_its_folder(capsys, shop):
    (shop / "mine").write_text(TINY)
    code, _, err = run(capsys, "mine")
    assert code == 2 and err == "minilora: mine has no suffix, and its folder cannot have its name: name a folder with --out\n"


@pytest.mark.parametrize(("backend", "module", "packages"), [("dask", "distributed", "dask distributed"), ("ray", "ray", "ray")])
def test_a_cluster_needs_its_package(capsys, shop, monkeypatch, backend, module, packages):
    monkeypatch.setattr("minilora.lab.places.find_spec", lambda name: None)
    (shop / "sweep.toml").write_text(TINY)
    code, _, err = run(capsys, "sweep.toml", "--backend", backend, "--scheduler", "tcp://127.0.0.1:1")
    assert code == 2 and err == f"minilora: this backend needs a package that is not installed: pip install {packages}\n"


def test_a_trial_that_diverges_is_a_row_that_says_so():
    rows = [{**trial, **sweep.run_trial(**trial)} for trial in plan(TINY + "learning_rate = [1e-2, 1e30]\n")]
    assert [row["status"] for row in rows] == ["done", "diverged"] and rows[0]["held_out_loss"] > 0 and rows[1]["held_out_loss"] is None
    assert {name for row in rows for name in row} >= set(RESULTS)
    facets.draw(rows)


def test_no_result_has_the_name_of_an_option():
    """It would take the option's place in the table."""
    assert not sweep.options_of(REGISTRY).keys() & {*RESULTS, "contents"}
    rows = [{**trial, **sweep.run_trial(**trial)} for trial in plan(TINY.replace("held_out = 2", "held_out = [1, 2]"))]
    assert [row["held_out"] for row in rows] == [1, 2] and facets.roles(rows)[0] == "held_out"


def change_the_text():
    Path("own.txt").write_text(TEXT[::-1])


def change_the_base():
    fit.base.cache_clear()  # as in a new process
    save_base("small", CONFIG, {name: 2 * array for name, array in BASE.items()})


@pytest.mark.parametrize("change", [change_the_text, change_the_base])
def test_another_text_or_base_of_the_same_name_is_another_trial(change):
    before = plan(TINY)
    assert plan(TINY) == before
    change()
    assert plan(TINY) != before


def test_what_a_base_and_a_text_hold_is_no_option_of_a_figure():
    assert "contents" not in facets.options(plan(TINY))


@pytest.mark.parametrize("content", [b"", b"[1]", b"{}", b"\xff"])
def test_a_file_that_holds_no_row_is_not_done(shop, content):
    trials = [{"n": n} for n in range(2)]
    run_trials(square, trials, shop / "kept", jobs=1, progress=False)
    file = file_of(square, trials[1], shop / "kept")
    file.write_bytes(content)
    with pytest.raises(ValueError, match="json holds no row of a table: remove it"):
        read(file)
    assert [row["square"] for row in run_trials(square, trials, shop / "kept", jobs=1, progress=False)] == [0, 1]
    assert read(file)["square"] == 1


def square(n):
    return {"square": n * n}


def tire(n):
    """A trial: at the second one somebody presses Ctrl-C."""
    if n == 1:
        raise KeyboardInterrupt
    return {"n": n}


@pytest.mark.parametrize(
    ("folder", "message"), [("kept", "stopped; 1 of 3 trials are kept in kept: start it again"), (None, "nothing was kept")]
)
def test_ctrl_c_says_what_is_kept(folder, message):
    with pytest.raises(KeyboardInterrupt, match=message):
        run_trials(tire, [{"n": n} for n in range(3)], folder, jobs=1, progress=False)


def test_ctrl_c_leaves_no_lock_behind():
    """tqdm's own lock is known by a name in the whole system, which a process that is ended does not take back."""
    numbered(0, square, {"n": 1})
    assert isinstance(tqdm.get_lock(), type(RLock()))


def start(*arguments):
    """The command in a process of its own; what it says goes into a file, which the processes that outlive it may hold open."""
    with open("said", "w") as said:
        return subprocess.Popen([sys.executable, "-m", "minilora", "sweep", *arguments], stdout=said, stderr=said)


def wait_for(least, folder, process, seconds=60):
    """Until so many trials are done."""
    until = time.monotonic() + seconds
    while len(list(folder.glob("trials/*.json"))) < least:
        assert time.monotonic() < until and process.poll() is None, Path("said").read_text()
        time.sleep(0.02)


def test_a_sweep_that_is_killed_goes_on_where_it_stopped(shop):
    (shop / "eight.toml").write_text(EIGHT)
    process = start("eight.toml")
    wait_for(2, shop / "eight", process)
    process.kill()
    process.wait()
    kept = {file.name: file.stat().st_mtime_ns for file in (shop / "eight").glob("trials/*.json")}
    assert 2 <= len(kept) < 8 and not (shop / "eight" / "table.csv").exists()
    assert start("eight.toml", "--jobs", "1").wait(60) == 0
    said = (shop / "said").read_text()
    assert said.startswith(f"8 trials, {len(kept)} of them done already\n") and "threads a trial: BLAS 1, Numba no" in said
    assert all((shop / "eight" / "trials" / name).stat().st_mtime_ns == time for name, time in kept.items())
    rows = table.load(shop / "eight" / "table.csv")
    assert [(row["seed"], row["learning_rate"]) for row in rows] == [(seed, rate) for seed in range(4) for rate in (1e-3, 1e-2)]
    assert (shop / "eight" / "figure.png").read_bytes().startswith(b"\x89PNG")


def die(n, folder):
    """A trial: the third one is the end of its process."""
    if n == 2:
        while len(os.listdir(folder)) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    return {"square": n * n}


def test_a_process_that_dies_is_one_line_and_what_was_done_is_kept(shop):
    trials = [{"n": n, "folder": str(shop / "kept")} for n in range(3)]
    with pytest.raises(
        ChildProcessError, match="a process was killed in the midst of a trial.*; 2 of 3 trials are kept in .*kept: start it again"
    ):
        run_trials(die, trials, shop / "kept", jobs=2, progress=False)
    assert sorted(json.loads(file.read_text())["square"] for file in (shop / "kept").iterdir()) == [0, 1]
