"""Each method in the whole model: gradients at every site, the start as the base, the merge, the count."""

import numpy as np
import pytest
from test_model import tiny

from minilora import gradcheck, ops
from minilora.methods import REGISTRY, LoRA
from minilora.methods.targets import resolve
from minilora.transformer import forward, loss
from minilora.transformer.config import LINEARS
from minilora.transformer.model import loss_backward

OPS = ops.reference()
TARGETS = [*(name.split(".")[1] for name in LINEARS), "embed_tokens", "lm_head", "attention", "mlp", "all-linear"]


def trained(method, config, weights, seed=1):
    """Arrays as they are in the midst of training: none is zero."""
    arrays = method.init(config, weights, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    return {name: array + rng.normal(0, 0.3, array.shape) for name, array in arrays.items()}


@pytest.mark.parametrize("targets", TARGETS)
def test_lora_gradients_end_to_end(targets):
    config, weights, tokens, targets_ = tiny()
    method = LoRA(rank=3, alpha=6, targets=targets)
    arrays = trained(method, config, weights)
    grads = loss_backward(loss(config, weights, tokens, targets_, method.sites(config, arrays, OPS))[1])
    assert grads.keys() == arrays.keys()
    rows = gradcheck.check(lambda: loss(config, weights, tokens, targets_, method.sites(config, arrays, OPS))[0], arrays, grads)
    assert all(row["ok"] for row in rows), "\n" + gradcheck.table(rows)


def test_lora_gradients_on_a_tied_model_with_dropout():
    config, weights, tokens, targets = tiny(tied=True)
    method = LoRA(rank=2, alpha=2, dropout=0.4, rslora=True, rank_pattern={"q_proj": 3}, alpha_pattern={"mlp.up_proj": 1.5})
    arrays = trained(method, config, weights)

    def run():  # the same masks at each call
        return loss(config, weights, tokens, targets, method.sites(config, arrays, OPS, np.random.default_rng(5)))

    rows = gradcheck.check(lambda: run()[0], arrays, loss_backward(run()[1]))
    assert all(row["ok"] for row in rows), "\n" + gradcheck.table(rows)


@pytest.mark.parametrize("name", REGISTRY)
def test_starts_as_the_base_and_counts_its_arrays(name):
    config, weights, tokens, _ = tiny()
    method = REGISTRY[name]() if name == "full" else REGISTRY[name](rank=2)
    arrays = method.init(config, weights, np.random.default_rng(0))
    assert np.array_equal(forward(config, weights, tokens, method.sites(config, arrays, OPS))[0], forward(config, weights, tokens)[0])
    assert method.count(config) == sum(arrays[name].size for name in method.trainable(arrays))


def test_merging_equals_the_adapted_model_and_leaves_the_base():
    config, weights, tokens, _ = tiny()
    kept = {name: array.copy() for name, array in weights.items()}
    method = LoRA(rank=3, alpha=6, targets=("all-linear", "embed_tokens", "lm_head"))
    arrays = trained(method, config, weights)
    adapted, _ = forward(config, weights, tokens, method.sites(config, arrays, OPS))
    merged, _ = forward(config, method.merge(config, weights, arrays), tokens)
    assert np.allclose(merged, adapted, rtol=0, atol=1e-12 * np.abs(adapted).max())
    assert all(np.array_equal(weights[name], kept[name]) for name in kept)


def test_frozen_linears_without_an_adapter_cache_no_input():
    config, weights, tokens, _ = tiny()
    method = LoRA(rank=2, targets="q_proj")
    _, cache = forward(config, weights, tokens, method.sites(config, method.init(config, weights, np.random.default_rng(0)), OPS))
    _, attention, _, _, (gate, up, _, down), _ = cache[4][0]
    for W, x, inner in (attention[1], attention[2], attention[5], gate, up, down):
        assert W is not None and x is None and inner is None
    assert attention[0][2][0].shape == (10, 12)


def test_the_embedding_starts_with_A_zero_and_B_random():
    config, weights, _, _ = tiny()
    arrays = LoRA(rank=2, targets="embed_tokens").init(config, weights, np.random.default_rng(0))
    assert not arrays["model.embed_tokens.lora_A"].any() and arrays["model.embed_tokens.lora_B"].all()


@pytest.mark.parametrize(
    ("method", "tied", "message"),
    [
        (LoRA(targets="q_porj"), False, "'q_porj' matches no module; the closest is 'q_proj'"),
        (LoRA(targets=("q_proj", "nope")), False, "'nope' matches no module"),
        (LoRA(targets="lm_head"), True, "would untie"),
        (LoRA(rank=0), False, "rank 0 is outside 1..12"),
        (LoRA(rank=13), False, "rank 13 is outside 1..12"),
    ],
)
def test_bad_dials_are_refused(method, tied, message):
    config, weights, _, _ = tiny(tied)
    with pytest.raises(ValueError, match=message):
        method.init(config, weights, np.random.default_rng(0))


def test_a_rank_above_break_even_is_warned_about():
    config, weights, _, _ = tiny()
    with pytest.warns(UserWarning, match=r"6 x \(12 \+ 10\) = 132 numbers for a matrix of 120"):
        LoRA(rank=6, targets="gate_proj").init(config, weights, np.random.default_rng(0))


def test_groups_of_targets():
    config, *_ = tiny()
    assert len(resolve("all-linear", config)) == 14 and len(resolve("q_proj,v_proj", config)) == 4
