"""minilora compare: what it counts, how it searches, what it concludes. Trainings are of two or three steps: they prove that it runs."""

import json

import numpy as np
import pytest

from minilora.cli import main
from minilora.lab import compare, comparison, footprint
from minilora.lab.common_table import Verdict, judged, verdicts
from minilora.lab.contestants import CONTESTANTS, facts
from minilora.lab.table import column, load, stored
from minilora.methods import REGISTRY
from minilora.training.loop import Diverged

SHORT = {"steps": 2, "batch": 2, "length": 32, "rows": 2}


# ---- who takes part


def test_every_method_of_the_registry_takes_part():
    assert REGISTRY.keys() <= CONTESTANTS.keys() and {"qlora", "lora r=1", "lora r=32"} <= CONTESTANTS.keys()


def test_what_trains_is_counted_from_the_arrays_and_equals_each_formula():
    for name, contestant in CONTESTANTS.items():
        config = contestant.base().config
        known = facts(name)
        assert known["trainable"] == contestant.method.count(config), name
        assert known["share"] == pytest.approx(known["trainable"] / CONTESTANTS["full"].method.count(config)), name


def test_who_merges_and_who_belongs_to_the_family():
    """Each list from the methods' papers."""
    known = {name: facts(name) for name in CONTESTANTS}
    never = {"houlsby", "pfeiffer", "prefix", "prefix-network", "gated-prefix", "prompt", "bitfit"}
    assert {name for name in known if not known[name]["merges"]} == never
    rivals = never | {"full", "ia3", "norms", "last-layers"}
    assert {name for name in known if not known[name]["family"]} == rivals


# ---- the search


def test_rungs_are_three_times_apart_and_found_again():
    assert [compare.rate(rung) for rung in (-4, -3, -2, -1, 0, 1, 2)] == [0.01, 0.03, 0.1, 0.3, 1, 3, 10]
    assert all(compare.closest_rung(compare.rate(rung)) == rung for rung in range(compare.LOWEST, compare.HIGHEST + 1))


def pretend(monkeypatch, losses):
    """Let a training's loss be losses(learning_rate); the trials are noted."""
    tried = []

    def run_trials(function, trials, folder, jobs, progress):
        tried.extend(trial["learning_rate"] for trial in trials)
        return [{**trial, "excess": losses(trial["learning_rate"])} for trial in trials]

    monkeypatch.setattr(compare, "run_trials", run_trials)
    return tried


def test_the_ladder_is_climbed_until_the_best_lies_inside(monkeypatch):
    tried = pretend(monkeypatch, lambda learning_rate: abs(np.log(learning_rate / 1)))
    rows = compare.search(["lora"], {}, None)
    assert tried == [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3] and compare.best_rates(rows) == {"lora": 1}


def test_the_ladder_ends_and_a_run_that_diverged_is_the_worst(monkeypatch):
    tried = pretend(monkeypatch, lambda learning_rate: None if learning_rate > 0.01 else learning_rate)
    rows = compare.search(["lora"], {}, None)
    assert min(tried) == 1e-5 and compare.best_rates(rows) == {"lora": 1e-5}


def test_a_run_that_diverges_is_a_row_without_numbers(monkeypatch):
    def diverge(*arguments, **recipe):
        raise Diverged("the loss is inf")

    monkeypatch.setattr(compare.api, "finetune", diverge)
    row = compare.train("full", 1e3, 0, voice="pirate", **SHORT)
    assert row.keys() == {"excess", "learned", "obeyed", "forgotten", "steps_to_target"} and set(row.values()) == {None}


def test_the_way_to_the_target_is_read_between_two_looks():
    log = [{"step": 20, "excess": 1.0}, {"step": 40, "excess": 0.5}, {"step": 60, "excess": 0.1}]
    assert compare.steps_to(0.3, log) == pytest.approx(50) and compare.steps_to(1.0, log) == 20 and compare.steps_to(0.05, log) is None


# ---- what is concluded


def runs_of(losses, trainable=None):
    """A table of three seeds: contestant -> losses."""
    trainable = trainable or {}
    return [
        {
            **{"contestant": name, "dials": "", "family": True, "trainable": trainable.get(name, 100), "share": 0.1, "merges": True},
            **{"learning_rate": 0.01, "seed": seed, "steps_to_target": 100},
            **{"excess": value, "learned": 1.0, "obeyed": 1.0, "forgotten": value},
        }
        for name, values in losses.items()
        for seed, value in enumerate(values)
    ]


def test_differences_are_judged_over_seeds():
    assert judged([-1.0, -1.1, -0.9]) == "agrees" and judged([1.0, 1.1, 0.9]) == "contradicts"
    assert judged([-1.0, 1.0, -0.5]) == "cannot be told" and judged([-1.0]) == "cannot be told"


def verdict_of(found, says):
    return next(verdict for verdict in found if verdict.says == says)


@pytest.mark.parametrize("full, expected", [(0.01, "agrees"), (0.5, "contradicts")])
def test_the_text_follows_the_table(full, expected):
    runs = runs_of({"full": [full, full + 0.001, full - 0.001], "lora": [0.1, 0.101, 0.099]})
    found = verdicts(runs, compare.summary(runs, []))
    learns = verdict_of(found, "full fine-tuning learns better than LoRA")
    assert learns.verdict == expected and f"full {full:.3f}, lora 0.100" in learns.measured and "3 seeds" in learns.measured
    assert verdict_of(found, "LoRA trains 0.1 % to 1 % of the parameters").verdict == "contradicts"
    assert verdict_of(found, "LoRA takes less memory than full fine-tuning").verdict == "cannot be told"


def test_what_is_smaller_and_better_than_lora_is_named():
    losses = {"lora": [0.1, 0.101, 0.099], "ia3": [0.01, 0.011, 0.009], "full": [0.01, 0.011, 0.009]}
    runs = [{**row, "family": row["contestant"] == "lora"} for row in runs_of(losses, {"ia3": 10, "full": 1000})]
    last = verdicts(runs, compare.summary(runs, []))[-1]
    assert last == Verdict("LoRA is the best trade-off", last.measured, "contradicts") and "fewer numbers ia3, " in last.measured


def test_better_cheaper_and_of_another_family_than_lora_is_named():
    runs = runs_of({"lora": [0.1, 0.101, 0.099], "last-layers": [0.01, 0.011, 0.009]}, {"last-layers": 1000})
    runs = [{**row, "family": row["contestant"] == "lora"} for row in runs]
    costs = {"peak_bytes": 5e6, "ms_a_step": 50.0, "ms_a_token": 2.0, "ms_a_token_of_base": 1.0}
    for ms, expected in ((20.0, "contradicts"), (70.0, "agrees")):
        footprints = [{"contestant": "lora", **costs}, {"contestant": "last-layers", **costs, "ms_a_step": ms}]
        last = verdicts(runs, compare.summary(runs, footprints))[-1]
        assert last.verdict == expected and last.measured.endswith("last-layers" if expected == "contradicts" else "none")


def test_forgetting_is_also_compared_where_as_much_was_learned():
    runs = runs_of({"full": [0.01, 0.011, 0.012], "lora": [0.1, 0.101, 0.102]})
    runs = [{**row, "forgotten": (4 if row["contestant"] == "full" else 3) + row["excess"]} for row in runs]
    tried = [{"contestant": "full", "learning_rate": rate, "seed": 0, "excess": rate, "forgotten": 1.0} for rate in (0.01, 0.09, 0.5)]
    tried += [{"contestant": "lora", "learning_rate": 0.03, "seed": 0, "excess": 0.1, "forgotten": 3.1}]
    assert compare.as_much(tried, "full", "lora") == 0.09
    assert verdict_of(verdicts(runs, compare.summary(runs, []), tried), "LoRA forgets less than full fine-tuning").verdict == "agrees"
    tried += [{**tried[1], "seed": seed} for seed in (1, 2)]
    found = verdicts(runs, compare.summary(runs, []), tried)
    matched = next(verdict for verdict in found if "has learned as much (at a rate of 0.09, losses 0.101 and 0.090)" in verdict.says)
    assert matched.verdict == "contradicts" and "lora 3.101, full 1.000" in matched.measured


def test_memory_and_seconds_are_compared_where_they_were_measured():
    runs = runs_of({"full": [0.1] * 3, "lora": [0.1] * 3})
    costs = {"ms_a_step_median": 1, "ms_a_token": 2.0, "ms_a_token_of_base": 1.0}
    full = {"contestant": "full", "peak_bytes": 9e6, "ms_a_step": 50.0, **costs}
    lora = {"contestant": "lora", "peak_bytes": 5e6, "ms_a_step": 49.0, **costs}
    rows = compare.summary(runs, [full, lora])
    found = verdicts(runs, rows)
    assert verdict_of(found, "LoRA takes less memory than full fine-tuning").verdict == "agrees"
    faster = verdict_of(found, "LoRA is faster than full fine-tuning")
    assert faster.verdict == "contradicts" and "49.0 and 50.0 ms a step, within 5%" in faster.measured
    assert [row["seconds_to_target"] for row in rows if row["contestant"] == "lora"] == [4.9]


def test_a_mean_is_taken_only_where_every_seed_has_a_number():
    assert compare.mean_and_spread([1.0, None]) == (None, None) and compare.mean_and_spread([1.0]) == (1.0, None)
    assert compare.mean_and_spread([1.0, 3.0]) == (2.0, pytest.approx(2**0.5))


# ---- the whole, small


def test_the_command_trains_measures_keeps_and_goes_on(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(compare.PRESETS, "quick", {"steps": 2, "seeds": (0,)})
    monkeypatch.setattr(compare, "TASK", {**compare.TASK, **{key: SHORT[key] for key in ("batch", "length", "rows")}})
    monkeypatch.setattr(compare, "TEXTS", 1)
    monkeypatch.setattr(compare, "stored_rates", lambda names: dict.fromkeys(names, 0.01))
    arguments = ["compare", "--methods", "lora", "--jobs", "1", "--out", str(tmp_path), "--json"]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    (row,) = told["methods"]
    assert row["excess"] > 0 and row["peak_bytes"] > 0 and row["ms_a_step"] > 0 and row["ms_a_token"] > 0
    assert told == json.loads((tmp_path / "compare.quick.json").read_text())
    assert column(load(tmp_path / "compare.quick.csv"), "contestant") == ["lora"]
    assert all((tmp_path / name).stat().st_size > 10_000 for name in (comparison.QUALITY, comparison.FORGETTING))

    def refuse(*arguments, **recipe):
        raise AssertionError("it was trained already")

    monkeypatch.setattr(compare.api, "finetune", refuse)
    assert main(arguments) == 0 and json.loads(capsys.readouterr().out) == told


@pytest.mark.parametrize(("methods", "wrong"), [("lora,adaptor", "adaptor"), ("", "")])
def test_a_method_that_there_is_not_is_one_line(methods, wrong, capsys):
    assert main(["compare", "--methods", methods]) == 2
    assert capsys.readouterr().err.startswith(f"minilora: there is no method {wrong!r} to compare; there are full, lora,")


def test_ctrl_c_while_memory_is_measured_says_that_it_goes_on(tmp_path, capsys, monkeypatch):
    def tire(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "run", lambda *arguments: ([{"voice": "pirate", "batch": 1, "length": 8}], []))
    monkeypatch.setattr(footprint, "measure", tire)
    assert main(["compare", "--methods", "lora", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == f"\nminilora: stopped; what is done is kept in {tmp_path}: start it again to go on\n"


def test_the_stored_run_is_shown_and_nothing_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "--preset", "stored", "--methods", "lora,full"]) == 0
    told = capsys.readouterr().out
    assert "full fine-tuning learns better than LoRA" in told and "Llama-3.2-3B" in told and "wrote" not in told
    assert not list(tmp_path.iterdir())


def test_the_stored_learning_rates_lie_inside_what_was_tried():
    """Every contestant has its own search, and the best of it is at no edge, unless the ladder ends there."""
    runs, sweep = stored("compare", "full"), stored("compare.sweep", "full")
    assert set(column(runs, "contestant")) == CONTESTANTS.keys()
    for name in CONTESTANTS:
        tried = sorted(set(column(sweep, "learning_rate", contestant=name)))
        (best,) = set(column(runs, "learning_rate", contestant=name))
        assert tried[0] < best < tried[-1] or best in (compare.rate(compare.LOWEST), compare.rate(compare.HIGHEST)), name
        assert len(column(runs, "seed", contestant=name)) == 3
