"""The loop: the same bits however it is cut, stopped and resumed; what is kept when it fails; what it refuses."""

import math
import re
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
from small_run import BASE, CONFIG, CORPUS, METHOD, TEXT, disturbed, in_memory, on_disk, run

from minilora import ops
from minilora.adamw import adamw_step
from minilora.files.atomic import save_arrays
from minilora.files.safetensors import load_arrays
from minilora.methods import AdaLoRA, Full, LoRA, LoRAPlus, Prompt
from minilora.methods.check import midway, tiny_model
from minilora.training import corpora
from minilora.training.corpora import Documents
from minilora.training.gradients import evaluate, step_gradients, workers
from minilora.training.loop import Diverged, Recipe
from minilora.training.schedule import warmup_cosine
from minilora.transformer.model import loss, loss_backward

ADALORA = AdaLoRA(rank=3, target_rank=1, interval=1, warmup=0.1, final=0.2)


def signalled(at, number=signal.SIGINT, times=1, method=METHOD):
    return disturbed(at, lambda arrays: [signal.raise_signal(number) for _ in range(times)], method)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The contents of a finished run, and those of its checkpoint."""
    folder = tmp_path_factory.mktemp("unbroken")
    return in_memory(run(folder)), on_disk(folder)


def test_the_rate_rises_in_a_line_and_falls_in_half_a_cosine():
    shares = [warmup_cosine(step, 30, 10) for step in range(31)]
    assert shares[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert shares[10] == 1 and shares[20] == pytest.approx((1 + 0.1) / 2) and shares[30] == pytest.approx(0.1)
    assert np.all(np.diff(shares[10:]) < 0)
    assert warmup_cosine(0, 30, 0) == 1 and warmup_cosine(2, 30, 10, floor=0) == 0.3


def test_a_run_is_these_steps():
    """The loop once more with nothing around it: batch, gradient, penalty, clip, AdamW, the method's own step."""
    recipe = Recipe(steps=3, batch=4, length=16, warmup=2, clip=0.01, beta2=0.9, weight_decay=0.1, held_out=4, seed=5)
    found = run(method=ADALORA, **vars(recipe))
    arrays = ADALORA.init(CONFIG, BASE, np.random.default_rng([5, 0]))
    moments = {name: (np.zeros_like(arrays[name]), np.zeros_like(arrays[name])) for name in ADALORA.trainable(arrays)}
    for step in range(3):
        rows = CORPUS.train_batch(np.random.default_rng((5, 1 + step)), 4, 16)
        with workers(1) as pool:
            value, grads = step_gradients(pool, CONFIG, BASE, ADALORA, arrays, ops.reference(), *rows, 2, 1, (5, 1 + step))
        value += ADALORA.penalty(arrays, grads)
        norm = math.sqrt(sum(float(np.sum(grads[name].astype(np.float64) ** 2)) for name in moments))
        assert norm > 0.01
        for name, (m, v) in moments.items():
            rate = np.float32(1e-2 * warmup_cosine(step, 3, 2))
            adamw_step(arrays[name], grads[name] * (0.01 / norm), m, v, step + 1, rate, 0.1, beta2=0.9)
        ADALORA.after_step(arrays, grads, step + 1, 3)
    assert found.log[0]["loss"] == pytest.approx(value, rel=1e-5)
    for name in arrays:
        assert np.allclose(found.arrays[name], arrays[name], rtol=0, atol=1e-5 * np.abs(arrays[name]).max()), name


def test_dropout_draws_anew_for_every_seed_step_and_shard():
    drawn = []

    class Recorded(LoRA):
        def sites(self, config, arrays, ops=None, rng=None):
            if rng is not None:
                drawn.append(rng.random())
            return super().sites(config, arrays, ops, rng)

    for seed in (0, 1):
        run(method=Recorded(**vars(METHOD)), seed=seed, shards=2, accumulation=2)
    assert len(drawn) == len(set(drawn)) == 2 * 6 * 4


@pytest.mark.parametrize("method", [METHOD, Full()], ids=["lora", "full"])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_bits_do_not_depend_on_the_number_of_workers(method, accumulation):
    runs = [run(method=method, num_workers=number, batch=9, shards=3, accumulation=accumulation) for number in (1, 2, 3)]
    assert in_memory(runs[0]) == in_memory(runs[1]) == in_memory(runs[2])
    assert in_memory(runs[0]) != in_memory(run(method=method, batch=9, shards=3, accumulation=accumulation, seed=1))


def test_the_held_out_loss_does_not_depend_on_the_number_of_workers():
    inputs, targets = CORPUS.held_out(9, 8)
    arrays = midway(METHOD, CONFIG, BASE)

    def measured(number, rows=2):
        with workers(number) as pool:
            return evaluate(pool, CONFIG, BASE, METHOD, arrays, ops.reference(), inputs, targets, rows)

    assert measured(1) == measured(2) == measured(3) == pytest.approx(measured(1, rows=9), rel=1e-12)


def test_portions_taken_in_turn_are_shards_like_any_others():
    """With dropout too: a shard's draws depend on its place in the batch."""
    assert in_memory(run(shards=2, accumulation=2)) == in_memory(run(shards=4, accumulation=1))


@pytest.mark.parametrize(("shards", "accumulation"), [(1, 1), (3, 1), (2, 2)])
def test_the_shards_gradients_add_up_to_that_of_the_whole_batch(shards, accumulation):
    """Rows with few counted tokens weigh less: every shard divides by the tokens of the whole step."""
    config, weights, _, _ = tiny_model()
    method, rng = LoRA(rank=2, alpha=6), np.random.default_rng(0)
    tokens, targets = rng.integers(0, 13, (2, 5, 7))  # (5, 7) each
    targets[:2, 1:] = -100
    arrays = midway(method, config, weights)
    value, cache = loss(config, weights, tokens, targets, method.sites(config, arrays))
    expected = loss_backward(cache)
    with workers(2) as pool:
        found, grads = step_gradients(
            pool, config, weights, method, arrays, ops.reference(), tokens, targets, shards, accumulation, seed=(0,)
        )
    assert found == pytest.approx(value, rel=1e-13) and grads.keys() == expected.keys()
    for name in expected:
        assert np.allclose(grads[name], expected[name], rtol=0, atol=1e-13 * np.abs(expected[name]).max())


def test_what_is_frozen_is_not_touched():
    before = {name: array.copy() for name, array in BASE.items()}
    run()
    assert all(np.array_equal(BASE[name], before[name]) for name in before)


def test_groups_have_learning_rates_of_their_own():
    """The first step of AdamW has the size of the rate: at B = 0 only B moves, and it moves `ratio` times as far."""
    dials = {"rank": 2, "alpha": 6}
    start = METHOD.init(CONFIG, BASE, np.random.default_rng([0, 0]))
    plus, plain = (
        run(method=method, steps=1, weight_decay=0, learning_rate=rate).arrays
        for method, rate in ((LoRAPlus(ratio=4, **dials), 1e-3), (LoRA(**dials), 4e-3))
    )
    for name in start:
        assert np.allclose(plus[name], plain[name], rtol=1e-6, atol=0)
        assert np.array_equal(plus[name], start[name]) == name.endswith("lora_A")


def test_only_matrices_decay():
    rate = 1e-3
    with_decay, without = (run(method=Full(), steps=1, warmup=0, learning_rate=rate, weight_decay=decay).arrays for decay in (0.5, 0))
    for name, array in BASE.items():
        shrunk = rate * 0.5 * array if array.ndim > 1 else np.zeros_like(array)
        assert np.allclose(without[name] - with_decay[name], shrunk, rtol=0, atol=1e-6)


def test_a_byte_that_never_comes_keeps_its_embedding():
    trained = run(method=Full(), weight_decay=0).arrays["model.embed_tokens.weight"]
    moved = np.any(trained != BASE["model.embed_tokens.weight"], axis=1)
    assert set(np.flatnonzero(moved)) == {corpora.BEGIN, *b"0123456789 "}


@pytest.mark.parametrize("at", [1, 2, 5, 6])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_checkpoint_from_which_the_run_ends_in_the_same_bits(tmp_path, unbroken, at, number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt, match=f"stopped after step {at}; it is kept in .*checkpoint.safetensors, from which --resume"):
        run(tmp_path, method=signalled(at, number))
    assert signal.getsignal(number) is before
    assert on_disk(tmp_path)["step"] == at
    assert in_memory(run(tmp_path, resume=True)) == unbroken[0] and on_disk(tmp_path) == unbroken[1]


def test_a_second_ctrl_c_does_not_wait(tmp_path, unbroken):
    with pytest.raises(KeyboardInterrupt, match="^$"):
        run(tmp_path, method=signalled(5, times=2))
    assert on_disk(tmp_path)["step"] == 4
    assert in_memory(run(tmp_path, resume=True)) == unbroken[0]


def test_every_method_array_is_kept_and_not_only_those_that_train(tmp_path):
    """AdaLoRA judges its directions by running means, which the optimiser does not know of."""
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, method=signalled(3, method=ADALORA))
    assert in_memory(run(tmp_path, resume=True, method=ADALORA)) == in_memory(run(method=ADALORA))


def test_a_finished_run_resumes_to_itself(tmp_path, unbroken):
    run(tmp_path)
    assert in_memory(run(tmp_path, resume=True)) == unbroken[0]


def test_a_run_in_another_thread_trains_without_the_signals(unbroken):
    found = []
    thread = threading.Thread(target=lambda: found.append(in_memory(run())))
    thread.start()
    thread.join()
    assert found == [unbroken[0]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 7}, "its steps is 6, not 7"),
        ({"learning_rate": 0.1}, "its learning rate is 0.01, not 0.1"),
        ({"method": LoRA(rank=3, alpha=9, dropout=0.2), "seed": 1}, "its rank is 2, not 3, its alpha is 6, not 9, its seed is 0, not 1"),
        ({"method": Full()}, "its method is lora, not full"),
        ({"corpus": Documents("stories", lambda rng, held_out: ("1", 0.0))}, "its corpus is a text, not stories"),
        ({"corpus": corpora.from_text("counting", TEXT[::-1])}, "its text is another"),
        ({"base": {**BASE, "model.norm.weight": 2 * BASE["model.norm.weight"]}}, "its base is another"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(tmp_path, changes, message):
    run(tmp_path, steps=6)
    kept = on_disk(tmp_path)
    with pytest.raises(ValueError, match="another run: " + message + "; resume with the same settings, or choose another folder"):
        run(tmp_path, resume=True, **changes)
    assert on_disk(tmp_path) == kept


def test_a_checkpoint_that_does_not_say_of_what_run_it_is_is_refused(tmp_path):
    save_arrays(tmp_path / "checkpoint.safetensors", BASE)
    with pytest.raises(ValueError, match="checkpoint.safetensors is no checkpoint, or a damaged one: begin anew in another folder"):
        run(tmp_path, resume=True)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tensors, metadata: (tensors, {name: text for name, text in metadata.items() if name != "step"}),
        lambda tensors, metadata: (tensors, metadata | {"run": "{bad"}),
        lambda tensors, metadata: ({name: array for name, array in tensors.items() if not name.endswith("lora_A")}, metadata),
        lambda tensors, metadata: (tensors | {"adamw.second": tensors["adamw.second"][1:]}, metadata),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path, spoil):
    run(tmp_path, steps=6)
    save_arrays(tmp_path / "checkpoint.safetensors", *spoil(*load_arrays(tmp_path / "checkpoint.safetensors")))
    with pytest.raises(ValueError, match="checkpoint.safetensors is no checkpoint, or a damaged one: begin anew in another folder"):
        run(tmp_path, steps=6, resume=True)


def test_a_text_may_have_another_name_when_the_run_goes_on(tmp_path):
    unbroken = run(tmp_path, steps=6)
    assert np.array_equal(run(tmp_path, steps=6, resume=True, corpus=replace(CORPUS, name="moved")).p, unbroken.p)


@pytest.mark.parametrize(
    ("name", "way_on"),
    [("adapter_config.json", "$"), ("checkpoint.safetensors", r", or go on from its checkpoint with --resume \(resume=True\)$")],
)
def test_a_folder_that_holds_something_is_refused_before_any_work(tmp_path, name, way_on):
    (tmp_path / name).write_text("dear")
    with pytest.raises(ValueError, match="is not empty, and what is in it could be written over: name a new folder" + way_on):
        run(tmp_path, length=33)  # which would be refused next
    assert (tmp_path / name).read_text() == "dear"


def test_what_a_killed_process_was_writing_is_not_in_the_way(tmp_path):
    (tmp_path / ".checkpoint.safetensors.partial").touch()
    run(tmp_path)
    assert on_disk(tmp_path)["step"] == 6


def test_there_is_nothing_to_resume_from_without_a_folder():
    with pytest.raises(ValueError, match="there is no folder to resume from: name that of the run, or leave out resume"):
        run(resume=True)


def test_a_folder_without_a_run_is_not_made_by_resuming(tmp_path):
    with pytest.raises(FileNotFoundError):
        run(tmp_path / "new", resume=True)
    assert not (tmp_path / "new").exists()


def test_a_checkpoint_that_is_none_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint .*checkpoint.safetensors to resume from"):
        run(tmp_path, resume=True)
    run(tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="checkpoint.safetensors is not a safetensors file .*: was it copied as a whole?"):
        run(tmp_path, resume=True)


def poisoned(at, method):
    """The method, into whose arrays, those that do not train among them, comes something that is no number after step `at`."""

    def poison(arrays):
        for array in arrays.values():
            array[0] = np.nan

    return disturbed(at, poison, method)


@pytest.mark.parametrize("method", [METHOD, ADALORA], ids=["lora", "adalora"])
@pytest.mark.parametrize(
    ("at", "message", "good"),
    [
        (4, "the held-out loss after step 4 is nan", 2),
        (5, "the loss at step 6 is nan and the gradient's norm nan", 4),
    ],
)
def test_a_loss_that_is_not_finite_stops_the_run_at_the_last_good_state(tmp_path, method, at, message, good):
    advice = ": try a learning rate below 0.01, a smaller alpha or a longer warm-up, in a new folder; "
    with pytest.raises(Diverged, match=f"{message}{advice}the last good state, of step {good}, is in .*tensors"):
        run(tmp_path, method=poisoned(at, method))
    assert on_disk(tmp_path)["step"] == good
    assert in_memory(run(tmp_path, resume=True, method=method)) == in_memory(run(method=method))


def test_a_learning_rate_that_is_too_high_is_said_in_words_and_leaves_the_folder_free(tmp_path):
    with pytest.raises(Diverged, match="try a learning rate below 1e.30, a smaller alpha or a longer warm-up$"):
        run(tmp_path, learning_rate=1e30)
    assert list(tmp_path.iterdir()) == []


def test_the_bar_shows_the_loss_the_speed_and_the_time_that_is_left(capsys, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, method=signalled(4))
    finished = run(tmp_path, resume=True, progress=True)
    first, *_, last = capsys.readouterr().err.strip().split("\r")
    assert first.startswith("lora on counting:  67%|") and "| 4/6 [" in first
    assert re.search(rf"\| 6/6 \[\d\d:\d\d<00:00, .*step.*, loss {finished.log[-1]['loss']:.3f}, [1-9][\d,]* tokens/s\]", last)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *[({name: 0}, f"{name} is 0, it must be at least 1") for name in ("steps", "batch", "length", "accumulation", "shards")],
        *[({"steps": steps}, f"steps is {steps!r}, it must be a whole number") for steps in (2.5, "5")],
        *[({name: -1}, f"{name} is -1, it must be at least 0") for name in ("warmup", "weight_decay", "seed")],
        *[({"learning_rate": rate}, f"learning rate {rate} must be above 0 and finite") for rate in (0, -1.0, math.nan, math.inf)],
        *[({"clip": limit}, f"clip is {limit} and beta2 0.99: the one must be above 0") for limit in (0, math.nan)],
        ({"beta2": 1.0}, "beta2 1.0: the one must be above 0, the other in 0 <= beta2 < 1"),
        ({"batch": 3, "shards": 2, "accumulation": 2}, "a batch of 3 rows cannot be cut into 2 x 2 shards: enlarge it or take fewer"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Recipe(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": 33}, "length is 33, and the context has room for 32 tokens: choose 32 or less"),
        ({"length": 30, "method": Prompt(length=4)}, r"room for 28 tokens \(of 32; prompt takes 4\): choose 28 or less"),
        ({"method": Prompt(length=32)}, "prompt takes 32 tokens and the context has 32, which leaves none: give it fewer"),
        ({"num_workers": 0}, "num_workers is 0, it must be at least 1"),
        ({"corpus": corpora.from_text("word", "pond")}, "word: a row takes 16 characters and there are 4 to train on: give it 17"),
        ({"corpus": corpora.from_text("word", "ponderous"), "length": 8}, "word has 9 characters, and a tenth is to be held out"),
        *[({"method": LoRA(rank=2, alpha=alpha)}, f"alpha {alpha} must be above 0") for alpha in (0, -2, math.nan, math.inf)],
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file_is_refused_before_training(tmp_path):
    (tmp_path / "taken").touch()
    for folder in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(NotADirectoryError, match="taken.* cannot be a folder, for a file is in the way: choose another name"):
            run(folder)
