"""The front door: load, finetune, generate, save and load again; and what it says to bad input."""

from dataclasses import replace

import numpy as np
import pytest
from small_run import BASE, CONFIG, METHOD, TEXT

import minilora as ml
from minilora.files.huggingface import save_base
from minilora.files.safetensors import digest

SIZES = {"steps": 4, "batch": 4, "length": 16, "held_out": 4, "progress": False}


@pytest.fixture
def base(tmp_path):
    """A small model in a folder, which its adapters remember."""
    save_base(tmp_path / "small", CONFIG, BASE)
    return ml.load(str(tmp_path / "small"))


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "counting.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def adapter(base):
    """One that changes what the base says."""
    arrays = METHOD.init(CONFIG, BASE, np.random.default_rng(0))
    return ml.Adapter(METHOD, {name: array + np.float32(0.1) for name, array in arrays.items()}, CONFIG, base.name)


def test_finetune_keeps_a_checkpoint_and_goes_on_from_it(base, text, tmp_path):
    found = ml.finetune(base, METHOD, text, folder=tmp_path / "run", **SIZES)
    assert [row["step"] for row in found.log] == [4] and found.log[0]["excess"] is None
    again = ml.finetune(base, METHOD, text, folder=tmp_path / "run", resume=True, **SIZES)
    assert digest(again.arrays) == digest(found.arrays) and again.log == found.log


def test_a_method_begins_at_its_own_learning_rate(base, text):
    for method in (METHOD, ml.Full()):
        usual, told, other = (
            ml.finetune(base, method, text, **SIZES, **rate)
            for rate in ({}, {"learning_rate": method.learning_rate}, {"learning_rate": method.learning_rate / 2})
        )
        assert digest(usual.arrays) == digest(told.arrays) != digest(other.arrays)


def test_pretraining_starts_at_random_and_gives_a_base(text):
    first, log = ml.pretrain("mine", CONFIG, text, **SIZES)
    again, _ = ml.pretrain("mine", CONFIG, text, **SIZES)
    other, _ = ml.pretrain("mine", CONFIG, text, seed=1, **SIZES)
    assert first.name == "mine" and log[-1]["step"] == 4
    assert digest(first.weights) == digest(again.weights) != digest(other.weights)


def test_the_held_out_loss_is_the_one_of_the_log(base, text):
    adapter = ml.finetune(base, METHOD, text, **SIZES)
    loss, excess = base.held_out_loss(text, adapter, rows=4)
    assert loss == adapter.log[-1]["held_out"] != base.held_out_loss(text, rows=4)[0] and excess is None


def test_an_adapter_finds_its_base_or_is_told(base, adapter, tmp_path):
    adapter.save(tmp_path / "adapter")
    for loaded in (ml.load_adapter(tmp_path / "adapter"), ml.load_adapter(tmp_path / "adapter", base)):
        assert base.generate("12", loaded, seed=1) == base.generate("12", adapter, seed=1) != base.generate("12", seed=1)


def test_an_adapter_that_does_not_say_its_base_must_be_told(adapter, tmp_path):
    ml.Adapter(adapter.method, adapter.arrays, adapter.config, "").save(tmp_path / "adapter")
    with pytest.raises(ValueError, match="adapter does not say what base it is for: load one and name it"):
        ml.load_adapter(tmp_path / "adapter")


def test_a_base_of_another_name_is_noted(base, adapter, tmp_path):
    adapter.save(tmp_path / "adapter")
    other = replace(base, name="other")
    with pytest.warns(UserWarning, match="adapter was trained on '.*small' and is put on 'other': are they the same"):
        ml.load_adapter(tmp_path / "adapter", other)


def test_a_bank_and_a_merge_note_it_too(base, adapter, tmp_path):
    adapter.save(tmp_path / "adapter")
    bank = ml.Bank(replace(base, name="other"))
    for act in (lambda: bank.load("one", tmp_path / "adapter"), lambda: bank.attach("two", adapter), lambda: adapter.merge(bank.base)):
        with pytest.warns(UserWarning, match="was trained on '.*small' and is put on 'other': are they the same"):
            act()


def test_a_base_that_is_not_where_the_adapter_says_is_to_be_named(base, adapter, tmp_path):
    replace(adapter, base_name="x" * 900).save(tmp_path / "adapter")  # longer than any name of a file
    with pytest.raises(FileNotFoundError, match=r"adapter is for the base 'x+\.\.\.x+', which is not here .* load_adapter\(folder, base\)"):
        ml.load_adapter(tmp_path / "adapter")


def test_a_pattern_that_matches_nothing_is_noted(base, text):
    with pytest.warns(UserWarning, match="the pattern 'qproj' matches no module that is adapted"):
        ml.finetune(base, ml.LoRA(rank=2, rank_pattern={"qproj": 1}), text, **SIZES)


def test_a_base_under_another_path_to_it_is_not_noted(base, adapter, tmp_path, monkeypatch):
    adapter.save(tmp_path / "adapter")
    monkeypatch.chdir(tmp_path)
    assert ml.load_adapter("adapter", ml.load("small")).base_name == "small"


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda base: base.generate("12", adapter="run"), r"'run' is a name, and what it names is wanted here: load_adapter\(folder, base"),
        (lambda base: base.held_out_loss("pydoc", adapter="run"), r"load_adapter\(folder, base\) first"),
        (lambda base: base.held_out_loss("pydoc", rows=0), "rows is 0: give a whole number of at least 1"),
        (lambda base: ml.load_adapter("run", "small"), r"'small' is a name, and what it names is wanted here: load\(name\) first"),
        (lambda base: ml.finetune("small", METHOD, "pydoc"), r"'small' is a name, and what it names is wanted here: load\(name\) first"),
        (lambda base: ml.finetune(base, ml.LoRA, "pydoc"), r"LoRA'> is not a method with its dials: make one, as LoRA\(rank=4\)"),
        (lambda base: ml.finetune(base, "lora", "pydoc"), r"'lora' is not a method with its dials: make one, as LoRA\(rank=4\)"),
        (lambda base: ml.finetune(base, METHOD, "pydoc", lr=1), "a recipe has no 'lr'; the closest is '.*'. There are steps, batch"),
        (lambda base: base.generate(["1", "2"]), r"the prompt is \['1', '2'\]: give one text, and a `count` for several"),
        (lambda base: base.generate("12", METHOD), r"LoRA\(.* is no adapter: finetune and load_adapter return one"),
        (lambda base: ml.Bank("small"), r"'small' is a name, and what it names is wanted here: load\(name\) first"),
        (lambda base: ml.Adapter(METHOD, {}, base.config, "").merge("small"), r"'small' is a name, .*: load\(name\) first"),
        (lambda base: ml.LoRA(alpha="8"), "alpha is '8', it must be a number"),
        (lambda base: ml.LoRA(targets=None), "targets are None: give a name, as 'all-linear', or a list of names"),
        (lambda base: ml.LoRAPlus(ratio=-4), "ratio -4 must be above 0 and finite: B's learning rate is A's times this"),
        (lambda base: ml.finetune(base, ml.LoRA(targets=()), "pydoc"), "lora has no targets, so that nothing would train: name some"),
    ],
)
def test_what_stands_in_the_place_of_something_else_is_refused_in_one_line(act, message, base):
    with pytest.raises(ValueError, match=message):
        act(base)


def test_the_held_out_loss_with_an_adapter_of_another_shape_is_refused(adapter):
    with pytest.raises(ValueError, match="whose shape differs from stories-base's"):
        ml.load("stories-base").held_out_loss("stories", adapter, rows=1)


def test_an_adapter_of_another_shape_is_refused(adapter):
    with pytest.raises(ValueError, match="the adapter was trained on .*small, whose shape differs from stories-base's: load that base"):
        ml.load("stories-base").generate("12", adapter)


def test_a_text_begins_with_the_whole_prompt_and_ends_at_the_line_or_the_length(base):
    for prompt in ("1 2", "é", "one\ntwo\n", ""):
        said = base.generate(prompt, length=5, seed=3, temperature=5)
        assert said.startswith(prompt) and "\n" not in said[len(prompt) :] and len(said.encode()) <= 3 * 5 + len(prompt.encode())
    assert len(base.generate("12", count=3)) == 3


def test_a_prompt_fills_the_context_but_for_one_place_at_the_most(base):
    assert base.generate("1" * 30).startswith("1" * 30)
    with pytest.raises(ValueError, match="the prompt has 32 tokens and the context 32: shorten the prompt"):
        base.generate("1" * 31)


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"count": 0}, "count is 0, it must be at least 1"),
        ({"length": 0}, "length is 0, it must be at least 1"),
        ({"length": -5}, "length is -5, it must be at least 1"),
        ({"seed": -1}, "seed is -1, it must be at least 0"),
        ({"temperature": float("nan")}, "temperature nan and top_k 0 must be at least 0"),
    ],
)
def test_dials_out_of_range_are_refused(base, dials, message):
    with pytest.raises(ValueError, match=message):
        base.generate("12", **dials)


def test_a_base_that_is_none_is_refused(tmp_path, base):
    with pytest.raises(FileNotFoundError, match="there is no base called 'nowhere' .*; with the package come: stories-base"):
        ml.load("nowhere")
    config = ml.Config(13, 16, 24, 2, 2, 1)
    save_base(tmp_path / "letters", config, ml.transformer.init(config, np.random.default_rng(0)))
    with pytest.raises(ValueError, match="letters has a vocabulary of 13 and no tokenizer.json: without one, text is 256 bytes"):
        ml.load(tmp_path / "letters").generate("12")
