"""The relatives of LoRA: what each of them claims, to the last digit or to the published integer."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from minilora import lowrank
from minilora.methods import AdaLoRA, DoRA, LoRA, LoRAFA, LoRAPlus, LoRAXS, OLoRA, PiSSA, RsLoRA, VeRA
from minilora.methods.adalora import allocate, judge, orthogonality
from minilora.methods.check import midway, tiny_model
from minilora.methods.dora import column_norms
from minilora.transformer import Config, forward, loss
from minilora.transformer.model import loss_backward

LLAMA_3_2_3B = Config(128256, 3072, 8192, 28, 24, 8, 128, tie_word_embeddings=True)
Q = "model.layers.1.self_attn.q_proj"


@pytest.mark.parametrize(
    ("method", "published"),
    [
        (LoRAFA(32, targets="q_proj,v_proj"), 3_670_016),
        (DoRA(32, targets="q_proj,v_proj"), 9_289_728),
        (VeRA(256, targets="q_proj,v_proj"), 129_024),
        (AdaLoRA(64, targets="q_proj,v_proj"), 18_353_664),
        (RsLoRA(64, targets="q_proj,v_proj"), 18_350_080),
    ],
    ids=lambda value: value.name if hasattr(value, "name") else "",
)
def test_counts_of_a_model_of_three_billion_are_those_that_PEFT_publishes(method, published):
    assert method.count(LLAMA_3_2_3B) == published


def test_LoRA_XS_has_r_squared_numbers_a_module_whatever_its_size():
    assert LoRAXS(16, targets="q_proj,v_proj").count(LLAMA_3_2_3B) == 16 * 16 * 2 * 28


def drawn(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


# rsLoRA and LoRA+


def test_rsLoRA_is_LoRA_at_another_scale():
    config, *_ = tiny_model()
    assert RsLoRA(4, 6, "q_proj").scales(config)[Q] == 3.0 and LoRA(4, 6, "q_proj").scales(config)[Q] == 1.5


def test_LoRA_plus_trains_B_faster_but_not_the_B_of_the_embedding():
    config, weights, _, _ = tiny_model()
    arrays = LoRAPlus(2, targets=("q_proj", "embed_tokens"), ratio=16).init(config, weights, np.random.default_rng(0))
    rates = LoRAPlus(ratio=16).learning_rates(arrays)
    assert rates[f"{Q}.lora_B"] == 16 and rates[f"{Q}.lora_A"] == 1 and rates["model.embed_tokens.lora_B"] == 1


# What is frozen needs no input


@pytest.mark.parametrize("method", [LoRAFA(2, targets="q_proj"), LoRAXS(2, targets="q_proj"), VeRA(2, "q_proj")], ids=lambda m: m.name)
def test_a_frozen_A_keeps_no_x(method):
    config, weights, _, _ = tiny_model()
    (x,) = drawn((6, 12))
    sites = method.sites(config, midway(method, config, weights))
    _, cache = sites.linear_forward(Q, x, weights[f"{Q}.weight"])
    arrays = [part for part in cache if isinstance(part, np.ndarray)]
    assert not any(np.shares_memory(part, x) or part.shape == x.shape for part in arrays)
    assert sum(part.size for part in arrays if len(part) == 6) == 6 * 2, "x A is all that is kept of the tokens"


@pytest.mark.parametrize("kind", [LoRAFA, LoRAXS])
def test_dropout_is_refused_where_x_is_not_kept(kind):
    with pytest.raises(ValueError, match=f"{kind.name} saves memory by not keeping x.*set dropout to 0"):
        kind(dropout=0.1)


@pytest.mark.parametrize("kind", [LoRAFA, DoRA, PiSSA, VeRA, LoRAXS, AdaLoRA])
def test_the_embedding_is_refused_where_it_makes_no_sense(kind):
    config, weights, _, _ = tiny_model()
    with pytest.raises(ValueError, match=f"{kind.name} adapts linear layers, and embed_tokens is a lookup"):
        kind(2, targets="embed_tokens").init(config, weights, np.random.default_rng(0))


# DoRA


def test_DoRAs_columns_have_the_lengths_that_it_learns():
    config, weights, _, _ = tiny_model()
    method = DoRA(2, 6, "q_proj")
    arrays = midway(method, config, weights)
    merged = method.merge(config, weights, arrays)[f"{Q}.weight"]
    assert np.allclose(np.linalg.norm(merged, axis=0), np.abs(arrays[f"{Q}.magnitude"]), rtol=1e-14)


def test_the_column_norms_are_right_and_make_no_array_of_the_weights_size():
    W, A, B = drawn((300, 400), (300, 3), (3, 400))
    tracemalloc.start()
    norms, AtV = column_norms(W, A, B, 2.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    V = W + 2.0 * A @ B
    assert np.allclose(norms, np.linalg.norm(V, axis=0), rtol=1e-14) and np.allclose(AtV, A.T @ V, rtol=1e-12, atol=1e-11)
    assert peak < W.nbytes / 4


def test_an_exact_backward_makes_no_array_of_the_weights_size_either():
    config, weights, _, _ = tiny_model()
    method = DoRA(2, 6, "q_proj", exact=True)
    W, x, dy, A, B, m = drawn((300, 400), (4, 300), (4, 400), (300, 2), (2, 400), (400,))
    sites = method.sites(config, {f"{Q}.lora_A": A, f"{Q}.lora_B": B, f"{Q}.magnitude": m})
    _, cache = sites.linear_forward(Q, x, W)
    tracemalloc.start()
    sites.linear_backward(Q, dy, W, cache, {})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < W.nbytes / 4


def test_the_norm_held_constant_changes_the_gradients_of_the_pair_and_no_others():
    config, weights, tokens, targets = tiny_model()
    method = DoRA(2, 6, "q_proj")
    arrays = midway(method, config, weights)
    detached, exact = (
        loss_backward(loss(config, weights, tokens, targets, replace(method, exact=exact).sites(config, arrays))[1])
        for exact in (False, True)
    )
    for name in detached:
        assert np.allclose(detached[name], exact[name], rtol=1e-12, atol=1e-15) == name.endswith("magnitude")


# PiSSA and OLoRA


def test_PiSSA_starts_from_the_best_approximation_of_its_rank():
    (W,) = drawn((12, 24))
    for s in (1.0, 2.0):
        A, B = PiSSA().factors(W, 3, s)
        left = np.linalg.svd(W, compute_uv=False)[3:]
        assert np.isclose(np.linalg.norm(W - lowrank.delta(A, B, s)), np.linalg.norm(left), rtol=1e-12)
        assert np.allclose(A.T @ A, B @ B.T, atol=1e-12), "the singular values are shared out equally"


def test_OLoRA_starts_from_orthonormal_rows_of_a_QR_factorisation():
    (W,) = drawn((12, 24))
    A, B = OLoRA().factors(W, 12, 2.0)
    assert np.allclose(A @ B, W, atol=1e-12) and np.allclose(B @ B.T, np.eye(12), atol=1e-12)
    first, rows = OLoRA().factors(W, 3, 2.0)
    assert np.allclose((first @ rows)[:3], W[:3], atol=1e-12), "three columns of Q make the first three rows of W"
    assert np.allclose(np.triu(A, 1), 0), "A is the transpose of an upper triangle"


@pytest.mark.parametrize("rslora", [False, True])
def test_PiSSA_is_exported_as_a_LoRA_of_twice_the_rank_and_the_same_scale(rslora):
    config, weights, tokens, _ = tiny_model()
    method = PiSSA(2, 6, "q_proj,k_proj", rslora=rslora, rank_pattern={"k_proj": 3}, alpha_pattern={"k_proj": 5.0})
    arrays = midway(method, config, weights)
    lora, pairs = method.exported(config, arrays)
    assert type(lora) is LoRA and lora.ranks(config)[Q] == 4
    assert all(np.isclose(lora.scales(config)[name], s, rtol=1e-15) for name, s in method.scales(config).items())
    expected, found = (forward(config, weights, tokens, sites)[0] for sites in (method.sites(config, arrays), lora.sites(config, pairs)))
    assert np.allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_a_rank_of_PiSSA_whose_export_would_not_fit_is_refused():
    config, weights, _, _ = tiny_model()
    with pytest.raises(ValueError, match="pissa of rank 7 becomes a lora of rank 14, too much for .*k_proj: choose at most 6"):
        PiSSA(7, targets="k_proj").init(config, weights, np.random.default_rng(0))


# LoRA-XS and VeRA


def test_LoRA_XS_works_in_the_largest_directions_of_the_weight():
    config, weights, _, _ = tiny_model()
    method = LoRAXS(2, 6, "q_proj")
    arrays = method.init(config, weights, np.random.default_rng(0))
    U, S, Vt = np.linalg.svd(weights[f"{Q}.weight"])
    assert np.allclose(arrays[f"{Q}.lora_A"] @ arrays[f"{Q}.lora_B"], (U[:, :2] * S[:2]) @ Vt[:2], atol=1e-12)
    R = LoRAXS(12, targets="q_proj").init(config, weights, np.random.default_rng(0))[f"{Q}.lora_R"]
    assert abs(R.std() / 1e-5 - 1) < 5 / np.sqrt(2 * R.size)  # five deviations of an estimate


def test_VeRAs_modules_share_one_pair_and_its_update_has_its_full_rank():
    config, weights, _, _ = tiny_model()
    method = VeRA(9, "q_proj,down_proj")
    arrays = midway(method, config, weights)
    assert arrays["vera_A"].shape == (12, 9) and arrays["vera_B"].shape == (9, 24)
    name = "model.layers.0.mlp.down_proj"  # 10 x 12: the first rows of A and columns of B
    update = method.merge(config, weights, arrays)[f"{name}.weight"] - weights[f"{name}.weight"]
    by_hand = arrays["vera_A"][:10] @ np.diag(arrays[f"{name}.vera_a"]) @ arrays["vera_B"][:, :12] @ np.diag(arrays[f"{name}.vera_b"])
    assert np.allclose(update, by_hand, atol=1e-12) and np.linalg.matrix_rank(update) == 9
    assert method.count(config) == 2 * (9 + 24 + 9 + 12)


def test_VeRAs_start():
    config, weights, _, _ = tiny_model()
    arrays = VeRA(9, "q_proj").init(config, weights, np.random.default_rng(0))
    assert (arrays[f"{Q}.vera_a"] == 0.1).all() and not arrays[f"{Q}.vera_b"].any()
    for name, fan_in in (("vera_A", 12), ("vera_B", 9)):
        bound = np.sqrt(6 / fan_in)
        assert np.abs(arrays[name]).max() <= bound and abs(arrays[name].std() * np.sqrt(3) / bound - 1) < 5 / np.sqrt(arrays[name].size)


def test_a_rank_of_VeRA_below_one_is_refused():
    with pytest.raises(ValueError, match="rank is 0: give a whole number of at least 1"):
        VeRA(0)


# AdaLoRA


def test_the_budget_falls_from_the_rank_to_the_target_as_a_cube():
    method = AdaLoRA(12, 8, warmup=0.1, final=0.3)
    assert AdaLoRA(12).target_rank == 8
    budgets = [method.budget(step, 100) for step in (1, 10, 40, 70, 100)]
    assert np.allclose(budgets, [12, 12, 8 + 4 * 0.5**3, 8, 8])


def test_the_penalty_is_zero_for_orthonormal_columns_and_only_there():
    (P,) = drawn((7, 3))
    orthonormal, _ = np.linalg.qr(P)
    value, gradient = orthogonality(orthonormal)
    assert value < 1e-14 and np.isfinite(gradient).all()
    assert np.isclose(orthogonality(P)[0], np.sqrt(np.sum((P.T @ P - np.eye(3)) ** 2)))
    value, gradient = orthogonality(np.eye(7, 3))
    assert value == 0 and not gradient.any()


def test_importance_is_sensitivity_times_uncertainty_each_smoothed():
    before, uncertainty, now = np.array([0.1, 5.0]), np.array([0.3, 0.4]), np.array([1.0, 3.0])  # one rises, one falls
    arrays = {"p": np.array([2.0, -1.0]), "p.sensitivity": before.copy(), "p.uncertainty": uncertainty.copy()}
    judge(arrays, "p", np.array([0.5, 3.0]))
    sensitivity = 0.85 * before + 0.15 * now
    assert np.allclose(arrays["p.sensitivity"], sensitivity)
    assert np.allclose(arrays["p.uncertainty"], 0.85 * uncertainty + 0.15 * np.abs(now - sensitivity))


def test_the_budget_goes_to_the_directions_that_matter_most_of_all_modules():
    config, weights, _, _ = tiny_model()
    method = AdaLoRA(3, targets="v_proj,down_proj")
    arrays = {name: np.abs(array) for name, array in midway(method, config, weights).items()}
    names = list(method.modules(config))
    scores = {}
    for name in names:
        for i in range(3):
            cut = {"lora_A": np.s_[:, i], "lora_E": np.s_[:, i], "lora_B": np.s_[i]}
            entries = {part: (arrays[f"{name}.{part}.sensitivity"] * arrays[f"{name}.{part}.uncertainty"])[cut[part]] for part in cut}
            scores[name, i] = sum(entry.mean() for entry in entries.values())
    best = sorted(scores, key=scores.get)[-5:]
    allocate(arrays, names, 5)
    assert {(name, i) for name in names for i in range(3) if arrays[f"{name}.lora_E"][0, i]} == set(best)


def test_directions_taken_away_in_the_end_stay_away_and_come_back_before():
    config, weights, tokens, targets = tiny_model()
    method = AdaLoRA(3, 2, 6, "v_proj,down_proj", warmup=0.0, final=0.5, interval=1)
    arrays = midway(method, config, weights)
    E = [array for name, array in arrays.items() if name.endswith("lora_E")]
    for step in range(1, 11):
        grads = loss_backward(loss(config, weights, tokens, targets, method.sites(config, arrays))[1])
        method.after_step(arrays, grads, step, 10)
        alive = sum(int(np.count_nonzero(e)) for e in E)
        assert alive == int(4 * method.budget(step, 10)) if step <= 5 else alive == 8
        for e in E:
            e += 0.1  # as an optimiser would


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"rank": 4, "target_rank": 5}, r"target rank 5 is outside 1..4"),
        ({"warmup": 0.5, "final": 0.5}, "together below 1"),
        ({"interval": 0}, "an interval of 1 or more"),
    ],
)
def test_bad_schedules_of_AdaLoRA_are_refused(dials, message):
    with pytest.raises(ValueError, match=message):
        AdaLoRA(**dials)
