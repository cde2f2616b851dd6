"""The life of an adapter on the base that comes with the package: added, trained, switched off, merged, saved, loaded, let speak."""

import numpy as np
import pytest

import minilora as ml
from minilora import lowrank, ops
from minilora.files.safetensors import digest
from minilora.training import corpora
from minilora.transformer import forward

RANK = 3
METHODS = {
    "all-linear": ml.LoRA(rank=RANK, alpha=6),
    "everywhere": ml.LoRA(rank=RANK, alpha=6, targets=("all-linear", "embed_tokens", "lm_head"), rslora=True, dropout=0.1),
    "full": ml.Full(),
}
TOKENS = np.array([corpora.encode("once upon a time a fox"), corpora.encode("one day a brave otter!")])  # (2, 23)


def logits(base, adapter=None):
    """As training and generating compute them, (46, V)."""
    sites = adapter and adapter.method.sites(base.config, adapter.arrays, ops.choose())
    return forward(base.config, base.weights, TOKENS, sites)[0]


@pytest.fixture(scope="module")
def base():
    return ml.load("stories-base")


@pytest.fixture(scope="module")
def before(base):
    """The base's bytes and what it says, before anything is trained on it."""
    return digest(base.weights), logits(base), base.generate("once upon a time", length=40)


@pytest.fixture(scope="module", params=METHODS)
def adapter(request, base, before):
    """After five steps."""
    sizes = {"steps": 5, "batch": 4, "length": 64, "warmup": 1, "held_out": 2}
    return ml.finetune(base, METHODS[request.param], "pirate", progress=False, **sizes)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("chosen", [ops.reference(), ops.compiled()], ids=["readable", "compiled"])
def test_added_it_changes_no_bit(base, name, chosen):
    method = METHODS[name]
    sites = method.sites(base.config, method.init(base.config, base.weights, np.random.default_rng(0)), chosen)
    alone = forward(base.config, base.weights, TOKENS, ml.methods.Method().sites(base.config, {}, chosen))[0]
    assert np.array_equal(forward(base.config, base.weights, TOKENS, sites)[0], alone)


def test_trained_it_changes_the_output_and_no_bit_of_what_is_frozen(base, before, adapter):
    assert np.abs(logits(base, adapter) - before[1]).max() > 0.1
    assert digest(base.weights) == before[0]


def test_what_is_frozen_cannot_be_written(base):
    for array in base.weights.values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_switched_off_it_leaves_the_base_bit_for_bit(base, before, adapter):
    assert np.array_equal(logits(base), before[1]) and base.generate("once upon a time", length=40) == before[2]


def test_merged_it_says_the_same_and_the_base_is_kept(base, before, adapter):
    """A layer does to 1e-6 in float32, by norms; four blocks add up to 1.1e-6 of the largest logit, which is given the parity's 1e-5."""
    merged, rng = adapter.merge(base), np.random.default_rng(0)
    if not isinstance(adapter.method, ml.Full):
        for name, s in adapter.method.scales(base.config).items():
            W, A, B = base.weights[f"{name}.weight"], adapter.arrays[f"{name}.lora_A"], adapter.arrays[f"{name}.lora_B"]
            x = rng.standard_normal((50, len(A)), np.float32)  # (50, d)
            y, _ = lowrank.lowrank_forward(x, W, A, B, s)  # (50, k)
            assert np.linalg.norm(x @ merged.weights[f"{name}.weight"] - y) <= 1e-6 * np.linalg.norm(y)
    adapted = logits(base, adapter)
    assert np.abs(logits(merged) - adapted).max() <= 1e-5 * np.abs(adapted).max()
    assert np.array_equal(logits(base), before[1]) and digest(base.weights) == before[0]


def test_saved_and_loaded_it_is_the_same_bits_and_says_the_same(base, adapter, tmp_path):
    said = base.generate("once upon a time", adapter, 40, count=2)
    for folder in (tmp_path / "once", tmp_path / "again", tmp_path / "again"):  # a second time over the first
        adapter.save(folder)
    first, second = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("once", "again"))
    assert first == second and len(first) == 2
    if isinstance(adapter.method, ml.Full):
        loaded = ml.load(tmp_path / "once")
        assert digest(loaded.weights) == digest(adapter.arrays)
        assert loaded.generate("once upon a time", None, 40, count=2) == said
        return
    loaded = ml.load_adapter(tmp_path / "once")
    assert loaded.base_name == "stories-base" and loaded.method.scales(base.config) == adapter.method.scales(base.config)
    assert digest(loaded.arrays) == digest(adapter.arrays)
    assert base.generate("once upon a time", loaded, 40, count=2) == said


def test_the_update_has_no_more_than_its_rank(base, adapter):
    name = "model.layers.3.self_attn.q_proj"
    if isinstance(adapter.method, ml.Full):
        change = adapter.arrays[f"{name}.weight"] - base.weights[f"{name}.weight"]  # (d, k)
        assert np.linalg.matrix_rank(change) == min(change.shape)
        return
    A, B = (adapter.arrays[f"{name}.lora_{part}"].astype(np.float64) for part in "AB")  # (d, r), (r, k)
    assert np.linalg.matrix_rank(lowrank.delta(A, B, adapter.method.scales(base.config)[name])) == RANK
