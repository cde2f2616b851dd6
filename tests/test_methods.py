"""Each method in the whole model: gradients at every site, the start as the base, the merge, the count."""

from collections import Counter

import numpy as np
import pytest

from minilora import gradcheck, ops
from minilora.methods import LoftQ, LoRA
from minilora.methods.check import check_method, midway, tiny_model
from minilora.methods.targets import modules, resolve
from minilora.transformer import forward, loss
from minilora.transformer.config import LINEARS
from minilora.transformer.model import loss_backward

OPS = ops.reference()
TARGETS = ["embed_tokens", "lm_head", *(name.split(".")[1] for name in LINEARS), "attention", "mlp", "all-linear"]


@pytest.mark.parametrize("targets", TARGETS)
def test_lora_gradients_end_to_end(targets):
    rows = check_method(LoRA(rank=3, alpha=6, targets=targets), OPS)
    assert all(row["ok"] for row in rows), "\n" + gradcheck.table(rows)


def test_lora_gradients_on_a_tied_model_with_dropout():
    method = LoRA(rank=2, alpha=2, dropout=0.4, rslora=True, rank_pattern={"q_proj": 3}, alpha_pattern={"mlp.up_proj": 1.5})
    rows = check_method(method, OPS, tied=True)
    assert all(row["ok"] for row in rows), "\n" + gradcheck.table(rows)


def test_merging_equals_the_adapted_model_and_leaves_the_base():
    config, weights, tokens, _ = tiny_model()
    kept = {name: array.copy() for name, array in weights.items()}
    method = LoRA(rank=3, alpha=6, targets=("all-linear", "embed_tokens", "lm_head"))
    arrays = midway(method, config, weights)
    adapted, _ = forward(config, weights, tokens, method.sites(config, arrays, OPS))
    merged, _ = forward(config, method.merge(config, weights, arrays), tokens)
    assert np.allclose(merged, adapted, rtol=0, atol=1e-12 * np.abs(adapted).max())
    assert all(np.array_equal(weights[name], kept[name]) for name in kept)


def test_frozen_linears_without_an_adapter_cache_no_input():
    config, weights, tokens, _ = tiny_model()
    method = LoRA(rank=2, targets="q_proj")
    _, cache = forward(config, weights, tokens, method.sites(config, method.init(config, weights, np.random.default_rng(0)), OPS))
    _, attention, _, _, (gate, up, _, down), _ = cache[4][0]
    for W, x, inner in (attention[1], attention[2], attention[5], gate, up, down):
        assert W is not None and x is None and inner is None
    assert attention[0][2][0].shape == (10, 12)


class Counted(np.ndarray):
    """An array that notes the shapes of each matrix product it takes part in, as does what is computed from it.

    Attention's own products are not among them: their arrays have four axes.
    """

    products = Counter()

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        if ufunc is np.matmul and inputs[0].ndim == 2:
            Counted.products[inputs[0].shape, inputs[1].shape] += 1
        plain = [array.view(np.ndarray) if isinstance(array, Counted) else array for array in inputs]
        if out is not None:
            options["out"] = tuple(array.view(np.ndarray) for array in out)
        result = getattr(ufunc, method)(*plain, **options)
        return result.view(Counted) if isinstance(result, np.ndarray) else result


@pytest.mark.parametrize(("targets", "lowest"), [("all-linear", 0), ("layers.1.self_attn.q_proj", 1)])
def test_a_step_multiplies_no_more_matrices_than_the_arithmetic_says(targets, lowest):
    config, weights, tokens, labels = tiny_model()
    method, N = LoRA(rank=3, alpha=6, targets=targets), tokens.size
    arrays = midway(method, config, weights)
    weights, counted = ({name: array.view(Counted) for name, array in part.items()} for part in (weights, arrays))
    Counted.products.clear()
    grads = loss_backward(loss(config, weights, tokens, labels, method.sites(config, counted, OPS))[1])
    assert grads.keys() == arrays.keys()

    expected, ranks = Counter(), method.ranks(config)
    for name, (d, k) in modules(config).items():
        if name == "model.embed_tokens":
            continue
        layer = int(name.split(".")[2]) if name != "lm_head" else config.num_hidden_layers
        # Nothing is propagated below the lowest layer that trains, and so not through its q, k and v.
        need_dx = layer > lowest or layer == lowest and not name.endswith(("q_proj", "k_proj", "v_proj"))
        expected[(N, d), (d, k)] += 1  # y = x W
        expected[(N, k), (k, d)] += need_dx  # dx = dy W.T, and never dW = x.T dy, (d, N) times (N, k)
        if name in ranks:
            r = ranks[name]
            expected.update([((N, d), (d, r)), ((N, r), (r, k))])  # z = x A, z B
            expected.update([((N, k), (k, r)), ((d, N), (N, r)), ((r, N), (N, k))])  # dz, dA, dB
            expected[(N, r), (r, d)] += need_dx  # dz A.T
    assert Counted.products == expected


def test_the_embedding_starts_with_A_zero_and_B_random():
    config, weights, _, _ = tiny_model()
    arrays = LoRA(rank=2, targets="embed_tokens").init(config, weights, np.random.default_rng(0))
    assert not arrays["model.embed_tokens.lora_A"].any() and arrays["model.embed_tokens.lora_B"].all()


@pytest.mark.parametrize(
    ("method", "tied", "message"),
    [
        (LoRA(targets="q_porj"), False, "'q_porj' matches no module; the closest is 'q_proj'"),
        (LoRA(targets=("q_proj", "nope")), False, "'nope' matches no module"),
        (LoRA(targets="lm_head"), True, "would untie"),
        (LoRA(rank=13), False, "rank 13 is outside 1..12"),
    ],
)
def test_bad_dials_are_refused(method, tied, message):
    config, weights, _, _ = tiny_model(tied)
    with pytest.raises(ValueError, match=message):
        method.init(config, weights, np.random.default_rng(0))


@pytest.mark.parametrize("rank", [0, 2.5, "4", True, None])
def test_a_rank_that_is_no_whole_number_is_refused_where_it_is_given(rank):
    with pytest.raises(ValueError, match=f"rank is {rank!r}: give a whole number of at least 1"):
        LoRA(rank=rank)


def test_a_rank_of_NumPy_s_is_an_int():
    assert type(LoRA(rank=np.arange(3)[2]).rank) is int


def test_loftq_is_checked_on_a_quantised_base():
    rows = check_method(LoftQ(rank=2, alpha=6, targets="q_proj"), OPS)
    assert all(row["ok"] for row in rows), "\n" + gradcheck.table(rows)


def test_a_rank_above_break_even_is_warned_about():
    config, weights, _, _ = tiny_model()
    with pytest.warns(UserWarning, match=r"6 x \(12 \+ 10\) = 132 numbers for a matrix of 120"):
        LoRA(rank=6, targets="gate_proj").init(config, weights, np.random.default_rng(0))


def test_groups_of_targets():
    config, *_ = tiny_model()
    assert len(resolve("all-linear", config)) == 14 and len(resolve("q_proj,v_proj", config)) == 4
