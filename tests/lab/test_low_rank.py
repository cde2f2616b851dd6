"""Is the update low-rank: the table has what check and draw need; starts and cuts are what they are said to be; spoiled tables fail."""

import numpy as np
import pytest

from minilora.adapters.adapter import Adapter
from minilora.lab import low_rank, table
from minilora.lab.fit import base
from minilora.lab.updates import updates
from minilora.methods import Full

RECIPE = {"batch": 2, "length": 64, "warmup": 1, "held_out": 2}


@pytest.fixture(scope="module")
def stored():
    return table.stored("low_rank", "class")


def test_the_smoke_run_has_the_columns_of_the_stored_table_and_can_be_judged_and_drawn(stored, monkeypatch):
    monkeypatch.setattr(low_rank, "RECIPE", RECIPE)
    rows = low_rank.run("smoke", seeds=(0,), jobs=1)
    assert {name for row in rows for name in row} == set(stored[0])
    assert {row["part"] for row in rows} == {row["part"] for row in stored}
    assert {type(finding.holds) for finding in low_rank.check(rows)} == {bool}
    assert low_rank.draw(rows).axes


def test_the_stored_table_holds_and_can_be_drawn(stored):
    assert all(finding.holds for finding in low_rank.check(stored))
    assert len(low_rank.draw(stored).axes) == 4


def test_runs_that_share_a_start_have_the_same_a_and_others_do_not():
    config, weights = base().config, base().weights
    one, same, other = (
        low_rank.Started(rank=2, start=start).init(config, weights, np.random.default_rng(seed)) for start, seed in ((1, 0), (1, 7), (2, 0))
    )
    name = "model.layers.0.self_attn.q_proj.lora_A"
    assert np.array_equal(one[name], same[name]) and not np.array_equal(one[name], other[name])


def test_an_update_cut_down_has_the_rank_that_was_asked_for_and_whole_it_is_itself():
    name = "model.layers.0.self_attn.q_proj"
    noise = np.random.default_rng(0).standard_normal(base().weights[f"{name}.weight"].shape, np.float32)  # (d, k)
    arrays = {**base().weights, f"{name}.weight": base().weights[f"{name}.weight"] + noise}
    trained = Adapter(Full(), arrays, base().config, base().name)
    found = {name: updates(base(), trained)[name]}
    sigma = np.linalg.svd(updates(base(), low_rank.truncated(trained, found, 3))[name], compute_uv=False)  # (96,)
    assert sigma[2] > 1 and sigma[3] < 1e-4
    whole = low_rank.truncated(trained, found, 96).arrays[f"{name}.weight"]
    assert np.abs(whole - arrays[f"{name}.weight"]).max() < 1e-5


def failing(rows):
    return [finding.says for finding in low_rank.check(rows) if not finding.holds]


def test_runs_that_are_all_alike_are_found_out(stored):
    spoiled = [{**row, "A": 0.5, "B": 0.5} if row["part"] == "pair" else row for row in stored]
    assert [says[0] for says in failing(spoiled)] == ["A", "B"]


def test_an_update_of_noise_is_found_out(stored):
    assert len(failing([{**row, "rank90": row["noise"]} if row["part"] == "growth" else row for row in stored])) == 2


def test_an_update_that_needs_all_its_directions_or_one_alone_is_found_out(stored):
    needs_all, needs_one = (
        failing([{**row, "excess": loss(row["rank"])} if row["part"] == "kept" else row for row in stored])
        for loss in (lambda rank: 1 / rank, lambda rank: 0.02)
    )
    assert needs_all == ["sixteen are (nats lost)"] and len(needs_one) == 1 and "one direction" in needs_one[0]
