"""Many adapters on one base: swapped, mixed in a batch, combined, merged, and the base never changed."""

from types import SimpleNamespace

import numpy as np
import pytest

from minilora import ops
from minilora.adapters.bank import Bank
from minilora.adapters.combine import combine
from minilora.files import peft
from minilora.files.safetensors import digest
from minilora.methods import IA3, AdaLoRA, DoRA, LoRA, PiSSA, VeRA
from minilora.methods.check import midway, tiny_model
from minilora.methods.with_copies import WithCopies
from minilora.transformer import forward
from minilora.transformer.generate import generate

CONFIG, WEIGHTS, TOKENS, _ = tiny_model()
BASE = SimpleNamespace(name="tiny", config=CONFIG, weights=WEIGHTS)
PLAIN = LoRA(rank=2, alpha=6)
OTHER = LoRA(rank=3, alpha=3, targets=("q_proj", "down_proj", "lm_head"), rank_pattern={"q_proj": 1})


def adapter(method, seed):
    return SimpleNamespace(method=method, arrays=midway(method, CONFIG, WEIGHTS, seed), config=CONFIG, base_name="tiny")


ONE, TWO = adapter(PLAIN, 1), adapter(OTHER, 2)


def bank_of(**adapters):
    bank = Bank(BASE)
    for name, each in adapters.items():
        bank.attach(name, each)
    return bank


def logits(bank, functions=None):
    return forward(CONFIG, bank.weights, TOKENS, bank.sites(functions))[0]


def test_swapping_ten_thousand_times_among_a_thousand_adapters_leaves_the_base():
    bank = bank_of(**{f"adapter {i}": ONE if i % 2 else TWO for i in range(1000)})
    before, alone = digest(WEIGHTS), logits(bank)
    for i in np.random.default_rng(0).integers(0, 1000, 10_000):
        bank.activate(f"adapter {i}")
    bank.activate("adapter 3")
    assert np.array_equal(logits(bank), forward(CONFIG, WEIGHTS, TOKENS, PLAIN.sites(CONFIG, ONE.arrays))[0])
    bank.activate(None)
    assert digest(WEIGHTS) == before and np.array_equal(logits(bank), alone)


def test_without_gives_the_base_and_then_what_was_active():
    bank = bank_of(one=ONE)
    bank.activate("one")
    adapted = logits(bank)
    with bank.without():
        assert np.array_equal(logits(bank), forward(CONFIG, WEIGHTS, TOKENS)[0])
    assert np.array_equal(logits(bank), adapted) and bank.active == "one"


def test_without_lifts_a_merge_too_and_puts_it_back():
    bank = bank_of(one=ONE)
    bank.merge("one")
    merged = logits(bank)
    with bank.without():
        assert np.array_equal(logits(bank), forward(CONFIG, WEIGHTS, TOKENS)[0])
    assert np.array_equal(logits(bank), merged) and bank.merged == "one"


def test_the_active_adapter_detached_leaves_the_base_and_the_others():
    bank = bank_of(one=ONE, two=TWO)
    bank.activate("one")
    bank.detach("one")
    assert np.array_equal(logits(bank), forward(CONFIG, WEIGHTS, TOKENS)[0]) and list(bank.adapters) == ["two"]


def test_unmerging_is_exact():
    bank = bank_of(one=ONE)
    alone = logits(bank)
    bank.activate("one")
    adapted = logits(bank)
    bank.merge("one")
    assert np.allclose(logits(bank), adapted, rtol=0, atol=1e-12 * np.abs(adapted).max())
    bank.unmerge()
    assert np.array_equal(logits(bank), alone)


def test_adapters_come_from_the_disk_and_go_while_the_base_stays(tmp_path):
    peft.save_adapter(tmp_path, CONFIG, PLAIN, ONE.arrays, "tiny")
    bank = bank_of(one=ONE)
    bank.load("read", tmp_path)
    assert bank.status()[1]["seconds"] > 0 and bank.weights is WEIGHTS
    bank.activate("one")
    wanted = logits(bank)
    bank.activate("read")
    assert np.allclose(logits(bank), wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())  # the file is in float32
    bank.detach("read")
    assert list(bank.adapters) == ["one"] and bank.active is None
    with pytest.raises(FileNotFoundError, match="there is no folder .*missing: check the name"):
        bank.load("missing", tmp_path / "missing")


def test_the_status_says_what_is_there():
    bank = bank_of(one=ONE, two=TWO)
    bank.activate("two")
    one, two = bank.status()
    count = sum(array.size for array in ONE.arrays.values())
    assert one == {
        **{"name": "one", "method": "lora", "rank": 2, "scale": [3.0], "targets": 14},
        **{"bytes": 8 * count, "active": False, "merged": False, "seconds": None},
    }
    assert two["active"] and two["scale"] == [1.0, 3.0] and two["targets"] == 5


@pytest.mark.parametrize("functions", [ops.reference(), ops.compiled()], ids=["readable", "compiled"])
def test_a_mixed_batch_equals_the_runs_one_by_one(functions):
    bank = bank_of(one=ONE, two=TWO)
    names = ["two", None, "one", "two", "one"]
    tokens = np.random.default_rng(4).integers(0, CONFIG.vocab_size, (5, 6))  # (5, 6)
    mixed = forward(CONFIG, WEIGHTS, tokens, bank.mixed_sites(names, functions))[0].reshape(5, 6, -1)  # (5, 6, V)
    for i, name in enumerate(names):
        bank.activate(name)
        single = forward(CONFIG, WEIGHTS, tokens[i : i + 1], bank.sites(functions))[0]  # (6, V)
        # The stacks are kept in float32, so that is the precision of the comparison.
        assert np.allclose(mixed[i], single, rtol=0, atol=1e-6 * np.abs(single).max())


def test_a_mixed_batch_decodes_with_the_cache_as_without():
    sites = bank_of(one=ONE, two=TWO).mixed_sites(["one", "two"], ops.reference())
    cached, uncached = (generate(CONFIG, WEIGHTS, TOKENS, 6, sites, seed=2, cached=cached) for cached in (True, False))
    assert np.array_equal(cached, uncached)


def test_concatenated_factors_are_the_weighted_sum_and_the_truncated_ones_lose_what_is_reported():
    method, arrays, lost = combine([ONE, TWO], [0.7, -0.3], CONFIG)
    small, few, reported = combine([ONE, TWO], [0.7, -0.3], CONFIG, "svd", rank=2)
    assert set(lost.values()) == {0.0} and set(method.scales(CONFIG).values()) == set(small.scales(CONFIG).values()) == {1.0}
    for name in method.ranks(CONFIG):
        updates = [
            weight * each.method.scales(CONFIG).get(name, 0) * each.arrays[f"{name}.lora_A"] @ each.arrays[f"{name}.lora_B"]
            for weight, each in ((0.7, ONE), (-0.3, TWO))
            if f"{name}.lora_A" in each.arrays
        ]
        total = sum(updates)  # (d, k)
        norm = np.linalg.norm(total)
        assert np.linalg.norm(arrays[f"{name}.lora_A"] @ arrays[f"{name}.lora_B"] - total) < 1e-7 * norm
        rest = np.linalg.norm(few[f"{name}.lora_A"] @ few[f"{name}.lora_B"] - total) / norm
        assert rest == pytest.approx(reported[name], abs=1e-7)


@pytest.mark.parametrize(
    "method", [PiSSA(2, 6, "q_proj"), VeRA(4, "q_proj"), AdaLoRA(2, None, 6, "q_proj")], ids=lambda method: method.name
)
def test_a_relative_of_LoRA_is_combined_with_all_of_its_update(method):
    one = adapter(method, 1)
    _, arrays, _ = combine([one], [1.0], CONFIG)
    merged = method.merge(CONFIG, WEIGHTS, one.arrays)
    for name in method.update_factors(CONFIG, one.arrays):
        update = merged[f"{name}.weight"] - WEIGHTS[f"{name}.weight"]  # (d, k)
        assert np.allclose(arrays[f"{name}.lora_A"] @ arrays[f"{name}.lora_B"], update, rtol=0, atol=1e-12)


def test_a_combination_of_one_is_itself_or_its_negative_and_with_itself_taken_away_nothing():
    updates = {name: s * ONE.arrays[f"{name}.lora_A"] @ ONE.arrays[f"{name}.lora_B"] for name, s in PLAIN.scales(CONFIG).items()}
    for adapters, weights, factor in (([ONE], [1.0], 1), ([ONE], [-1.0], -1), ([ONE, ONE], [1.0, -1.0], 0)):
        method, arrays, _ = combine(adapters, weights, CONFIG)
        assert set(method.ranks(CONFIG).values()) == {2 * len(adapters)}
        for name, update in updates.items():
            found = arrays[f"{name}.lora_A"] @ arrays[f"{name}.lora_B"]  # (d, k)
            assert np.allclose(found, factor * update, rtol=0, atol=1e-12)


def test_adding_the_factors_is_not_adding_the_updates():
    first, second = (adapter(LoRA(rank=2, alpha=2, targets="q_proj"), seed).arrays for seed in (5, 6))
    A, B = (f"model.layers.0.self_attn.q_proj.lora_{part}" for part in "AB")
    total = first[A] @ first[B] + second[A] @ second[B]  # (d, k)
    crossed = (first[A] + second[A]) @ (first[B] + second[B])  # (d, k)
    assert np.linalg.norm(crossed - total) > 0.5 * np.linalg.norm(total)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda bank: bank.attach("one", ONE), "there is an adapter 'one' already"),
        (lambda bank: bank.attach("two", "folder"), r"'folder' is a name, and what .*: load_adapter\(folder, base\) first"),
        (
            lambda bank: bank.attach("odd", SimpleNamespace(config=None, base_name="large", arrays={})),
            "'odd' was trained on large, whose shape differs",
        ),
        (lambda bank: bank.activate("nope"), "there is no adapter 'nope'; there are copied, dora, one, scaled"),
        (lambda bank: (bank.merge("one"), bank.merge("one")), "merged already: to merge twice would add its update twice"),
        (lambda bank: (bank.merge("one"), bank.activate("one")), "'one' is merged into the weights: unmerge it"),
        (lambda bank: (bank.merge("one"), bank.detach("one")), "'one' is merged: unmerge it first"),
        (lambda bank: (bank.merge("one"), bank.mixed_sites(["one"], None)), "unmerge it before adapters are mixed"),
        (lambda bank: bank.mixed_sites(["scaled"], None), "an adapter of ia3 cannot share a batch: only LoRA on linear layers can"),
        (lambda bank: bank.mixed_sites(["one", "nope"], None), "there is no adapter 'nope'"),
        (
            lambda bank: forward(CONFIG, WEIGHTS, TOKENS, bank.mixed_sites(["one"], ops.reference())),
            "the batch has 2 rows and 1 adapters are named: name one for each row, or None",
        ),
        (lambda bank: bank.mixed_sites(["dora"], None), "an adapter of dora cannot share a batch: only LoRA on linear layers can"),
        (lambda bank: combine([bank.adapters["copied"]], [1], CONFIG), "with a low-rank update can be combined, not lora with copies"),
        (lambda bank: bank.mixed_sites(["copied"], None), "an adapter of lora with copies cannot share a batch"),
        (lambda bank: combine([ONE, adapter(IA3(), 1)], [1, 1], CONFIG), "only adapters with a low-rank update can be combined, not ia3"),
        (lambda bank: combine([ONE], [1], CONFIG, "svd"), "kind='svd' and a rank"),
        (lambda bank: combine([ONE], [1], CONFIG, "svd", 500), "rank 500 is outside 1.."),
        (lambda bank: combine([ONE, ONE], [1], CONFIG), "there are 2 adapters and 1 weights: give a weight for each"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(act, message):
    bank = bank_of(one=ONE, scaled=adapter(IA3(), 1), copied=adapter(WithCopies(PLAIN, ("lm_head",)), 1), dora=adapter(DoRA(2), 1))
    with pytest.raises(ValueError, match=message):
        act(bank)
