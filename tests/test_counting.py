"""The arithmetic, each number by more than one way: closed form, the sizes of arrays that exist, the compiled loop."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_methods import Counted

from minilora import counting, lowrank, ops
from minilora.counting import memory
from minilora.counting.pair import LIMIT
from minilora.kernels import counting as compiled
from minilora.methods import Full, LoRA
from minilora.methods.check import midway, tiny_model
from minilora.methods.targets import resolve
from minilora.transformer import Config, Sites, loss
from minilora.transformer.generate import Past
from minilora.transformer.known import KNOWN
from minilora.transformer.model import loss_backward, rotations_up_to

sizes = st.integers(1, 60)
any_size = st.integers(-3, LIMIT)
examples = settings(max_examples=50, deadline=None, derandomize=True)


def test_five_by_two_times_two_by_eight():
    assert counting.full_params(5, 8) == 40 and counting.lora_params(5, 8, 2) == 26 and counting.saving(5, 8, 2) == pytest.approx(0.35)
    assert counting.break_even_rank(5, 8) == 40 / 13
    assert counting.lora_params(5, 8, 3) < 40 < counting.lora_params(5, 8, 4), "r* = 3.08 lies between"


def test_4096_by_4096_at_rank_16():
    assert counting.full_params(4096, 4096) == 16_777_216 and counting.lora_params(4096, 4096, 16) == 131_072
    assert counting.saving(4096, 4096, 16) == 0.9921875 and counting.break_even_rank(4096, 4096) == 2048


@given(d=sizes, k=sizes, data=st.data())
@examples
def test_three_ways_to_the_same_number(d, k, data):
    r = data.draw(st.integers(1, min(d, k)))
    A, B = lowrank.init(d, k, r, np.random.default_rng(0))
    full, lora = counting.sweep([d], [k], [r])
    assert counting.lora_params(d, k, r) == A.size + B.size == lora[0]
    assert counting.full_params(d, k) == lowrank.delta(A, B, 1.0).size == full[0]


@given(triples=st.lists(st.tuples(any_size, any_size, any_size), min_size=1, max_size=4))
@examples
def test_the_compiled_loop_is_the_readable_one_also_where_64_bits_end(triples):
    d, k, r = np.array(triples, np.int64).T.copy()  # (n,) each
    counts = [np.zeros((2, len(d)), np.int64) for _ in range(2)]
    readable, fast = counting.count_pairs(d, k, r, *counts[0]), compiled.count_pairs(d, k, r, *counts[1])
    assert readable == fast and np.array_equal(*counts)


def test_a_sweep_broadcasts():
    full, lora = counting.sweep(np.array([[3], [5]]), np.array([4, 7]), 2)
    assert full.tolist() == [[12, 21], [20, 35]] and lora.tolist() == [[14, 20], [18, 24]]


@pytest.mark.parametrize("reference", [False, True])
def test_overflow_and_nonsense_are_refused_in_one_line_by_both_loops(reference, monkeypatch):
    if reference:
        monkeypatch.setenv("MINILORA_OPS", "reference")
    assert (ops.choose() is ops.reference()) == reference
    assert counting.sweep([2**31, 1], [2**32 - 1, LIMIT - 1], 1)[0].tolist() == [2**63 - 2**31, LIMIT - 1]
    for d, k, r, message in (
        ([5, 2**32], [8, 2**31], [1, 1], r"d k = 9,223,372,036,854,775,808 is past 2\^63 - 1"),
        ([5, 2**31], [8, 2**31], [1, 2**31], r"r \(d \+ k\) = 9,223,372,036,854,775,808 is past"),
        ([LIMIT], [1], [1], r"r \(d \+ k\) = 9,223,372,036,854,775,808 is past"),
        ([5, -5], [8, 8], [1, 1], "d is -5: give a whole number of at least 1"),
        ([5], [8], [0], "r is 0: give a whole number"),
        ([5.0], [8], [1], "d is an array of float64: give whole numbers"),
        ([2**63], [8], [1], "d is an array of uint64"),
    ):
        with pytest.raises(ValueError, match=message) as refused:
            counting.sweep(d, k, r)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [0, -4, 4.0, "4", True, None])
def test_a_size_is_a_whole_number_of_at_least_one(value):
    with pytest.raises(ValueError, match=f"d is {value!r}: give a whole number of at least 1"):
        counting.full_params(value, 8)


def test_python_integers_stop_where_64_bits_do():
    assert counting.full_params(LIMIT, 1) == LIMIT
    with pytest.raises(ValueError, match=r"d k = 9,223,372,036,854,775,808 is past 2\^63 - 1"):
        counting.full_params(2**62, 2)
    with pytest.raises(ValueError, match="the sum over all arrays"):
        counting.total({"a": (LIMIT,), "b": (1,)})


llamas = st.builds(
    lambda V, d, f, L, groups, repeat, half, tied, bias: Config(
        V, d, f, L, groups * repeat, groups, 2 * half, tie_word_embeddings=tied, attention_bias=bias
    ),
    *[sizes] * 3,
    *[st.integers(1, 4)] * 4,
    *[st.booleans()] * 2,
)


@given(config=llamas, r=st.integers(1, 2), targets=st.sampled_from(["q_proj,v_proj", "attention", "mlp", "all-linear"]))
@examples
def test_a_whole_model_by_closed_form_by_arrays_and_by_the_compiled_loop(config, r, targets):
    shapes = config.shapes()
    assert counting.model_params(config) == sum(math.prod(shape) for shape in shapes.values()) == counting.total(shapes)
    adapted = resolve(targets, config)
    d, k = np.array(list(adapted.values())).T  # (modules,) each
    r = min(r, d.min(), k.min())
    full, lora = counting.sweep(d, k, r)
    method = LoRA(int(r), targets=targets)
    assert method.count(config) == counting.total(method.shapes(config)) == lora.sum()
    assert full.sum() == sum(math.prod(shapes[f"{name}.weight"]) for name in adapted)


def test_the_arrays_of_all_layers_gathered_by_module():
    shapes = {f"model.layers.{i}.self_attn.q_proj.{part}": size for i in (0, 11) for part, size in (("weight", (2, 3)), ("bias", (3,)))}
    shapes |= {"model.norm.weight": (2,), "prefix": (4, 5)}
    assert counting.by_module(shapes) == {"self_attn.q_proj": [(2, 3), (3,)] * 2, "norm": [(2,)], "prefix": [(4, 5)]}


@pytest.mark.parametrize(("d", "k", "r"), [(4096, 4096, 16), (128, 128, 22), (5, 8, 1), (96, 256, 7)])
def test_a_lora_step_costs_two_thirds_and_r_over_break_even_of_a_full_one(d, k, r):
    share = counting.flops_ratio(d, k, r)
    assert share == pytest.approx(2 / 3 + r / counting.break_even_rank(d, k), rel=1e-15)
    assert (share > 1) == (r > counting.break_even_flops_rank(d, k))


@pytest.mark.parametrize(
    ("method", "tied"),
    [
        (Full(), False),
        (Full(), True),
        (LoRA(3), False),
        (LoRA(3), True),
        (LoRA(3, targets="layers.1.self_attn.q_proj"), False),
        (LoRA(2, targets=("embed_tokens", "lm_head", "down_proj")), False),
    ],
    ids=["full", "full, tied", "all-linear", "all-linear, tied", "one module of the upper layer", "embedding and head"],
)
def test_the_flops_of_a_step_are_those_of_the_products_that_the_model_multiplies(method, tied):
    config, weights, tokens, labels = tiny_model(tied)
    arrays = midway(method, config, weights)
    weights, arrays = ({name: array.view(Counted) for name, array in part.items()} for part in (weights, arrays))
    Counted.products.clear()
    loss_backward(loss(config, weights, tokens, labels, method.sites(config, arrays, ops.reference()))[1])
    multiplied = sum(2 * times * n * d * k for ((n, d), (_, k)), times in Counted.products.items())
    flops = counting.step_flops(config, *tokens.shape, None if method.name == "full" else method.ranks(config))
    assert flops.pop("attention") > 0  # whose products are not among the counted
    assert sum(flops.values()) == multiplied


def test_attention_counts_the_pairs_that_see_each_other_down_to_the_lowest_layer_that_trains():
    config, batch, length = Config(13, 12, 10, 3, 4, 2, 6), 2, 5
    pairs = batch * sum(key <= query for query in range(length) for key in range(length))
    product = 2 * pairs * 4 * 6
    for ranks, layers in ((None, 3), ({"model.layers.1.mlp.up_proj": 1}, 2), ({"lm_head": 1}, 0), ({"model.embed_tokens": 1}, 3)):
        flops = counting.step_flops(config, batch, length, ranks)
        assert flops["attention"] == (3 * 2 + layers * 4) * product


@pytest.mark.parametrize(("double", "bits"), [(False, 4.5), (True, 4 + 8 / 64 + 32 / (64 * 256))])
def test_bits_of_a_number_in_nf4(double, bits):
    assert counting.nf4_bytes(4096 * 4096, double) * 8 == bits * 4096 * 4096
    assert counting.nf4_bytes(65, double) == 33 + (2 + 4 if double else 8), "a started block is a block"


def test_the_bytes_of_the_weights_are_those_of_arrays():
    config = Config(tie_word_embeddings=True)
    arrays = {name: np.zeros(shape, np.float32) for name, shape in config.shapes().items()}
    assert counting.weight_bytes(config, "float32") == sum(array.nbytes for array in arrays.values())
    assert counting.weight_bytes(config, "bf16") == sum(array.astype(np.float16).nbytes for array in arrays.values())
    linears = counting.full_params(96, 96) * 2 + counting.full_params(96, 48) * 2 + counting.full_params(96, 256) * 3
    assert counting.weight_bytes(config, "bf16") - counting.weight_bytes(config, "nf4") == 4 * linears * (16 - 4.5) / 8
    with pytest.raises(ValueError, match="there is no form 'int8' of weights; there are float32, bf16, nf4, nf4-double"):
        counting.weight_bytes(config, "int8")


def owners(value):
    """The arrays whose memory a nested cache holds on to, by identity."""
    if isinstance(value, (tuple, list)):
        return {key: array for part in value for key, array in owners(part).items()}
    if not isinstance(value, np.ndarray):
        return {}
    while value.base is not None:
        value = value.base
    return {id(value): value}


def test_activations_are_what_the_model_keeps_for_full_fine_tuning():
    config, weights, tokens, labels = tiny_model()
    (batch, T), L, f, heads = tokens.shape, 2, 10, 4
    _, (_, cache) = loss(config, weights, tokens, labels, Sites(weights))
    kept = owners(cache)
    rotations = rotations_up_to(config, 8, np.dtype(np.float64))  # the model's own, whatever the step
    known = {*owners(list(weights.values())), *owners(tokens), *owners(rotations)}
    numbers = sum(array.size for key, array in kept.items() if key not in known and array.dtype == np.float64)
    # The readable layers keep what a fused kernel makes anew: the probabilities and the sigmoid.
    anew = L * (batch * heads * T * T + batch * T * f)
    assert numbers == memory.activations(config, batch * T, recompute=False) + anew


def test_recomputation_keeps_the_input_of_each_block_and_one_block():
    config, tokens = Config(num_hidden_layers=7), 10
    block = memory.activations(config, tokens, False) - memory.activations(Config(num_hidden_layers=6), tokens, False)
    ends = memory.activations(config, tokens, False) - 7 * block
    assert memory.activations(config, tokens, True) == 7 * tokens * 96 + block + ends


def test_the_ledger_of_full_fine_tuning_and_of_an_adapter():
    config = KNOWN["Llama-2-7B"]
    numbers, lora = counting.total(config.shapes()), LoRA(16).count(config)
    full = counting.ledger(config, numbers, numbers)
    states = ("base, frozen", "weights of the method", "gradients", "Adam's moments")
    assert sum(full[part] for part in states) == 16 * numbers
    adapter = counting.ledger(config, lora, lora, "bf16")
    assert [adapter[part] for part in states] == [2 * numbers, 4 * lora, 4 * lora, 8 * lora]
    assert full["activations"] == 2 * adapter["activations"] and full["logits and their gradient"] == adapter["logits and their gradient"]
    twice = counting.ledger(config, lora, lora, "bf16", batch=2)
    assert [twice[part] // adapter[part] for part in adapter] == [1, 1, 1, 1, 2, 2]


def test_the_key_value_cache_is_what_generation_keeps():
    past = Past(Config(), batch=2, capacity=9)
    assert counting.cache_bytes(Config(), 2 * 9, number=4) == past.keys.nbytes + past.values.nbytes
    assert counting.cache_bytes(KNOWN["SmolLM2-135M"], 1000) == 2 * 30 * 192 * 2 * 1000
