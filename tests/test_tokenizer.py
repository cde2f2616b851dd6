"""Models with a tokenizer of their own: text to tokens and back, training on them, and what is said where something is missing."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

import minilora as ml
from minilora.cli import main
from minilora.files.huggingface import save_base
from minilora.files.tokenizer import read_tokenizer
from minilora.training.tokens import Tokens
from minilora.transformer import init

LINES = "the cat sat on the mat, and the hat sat on the cat; " * 40
CONFIG = ml.Config(300, 16, 24, 2, 2, 1, max_position_embeddings=64)


def write_tokenizer(folder):
    """Byte pairs learnt from LINES, a mark <s> set before a text, a mark </s> after its end."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=290, special_tokens=["<s>", "</s>"], initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator([LINES], trainer)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.fixture
def folder(tmp_path):
    """A random model, without a tokenizer."""
    folder = tmp_path / "model"
    special = {"bos_token_id": 0, "eos_token_id": 1}
    save_base(folder, CONFIG, init(CONFIG, np.random.default_rng(0), std=0.1), special)
    return folder


@pytest.fixture
def base(folder):
    write_tokenizer(folder)
    return ml.load(folder)


def test_text_becomes_tokens_with_a_mark_and_comes_back(base):
    tokens = base.encode("the cat, é")
    assert tokens[0] == 0 and len(tokens) < len(b"the cat, \xc3\xa9") and base.unit == "token"
    assert base.decode(tokens) == "the cat, é"
    assert base.decode([*tokens, *base.encode(" sat")[1:], 1, *tokens], len(tokens)) == " sat"


def test_a_base_without_a_tokenizer_takes_bytes():
    base = ml.load()
    assert base.tokenizer is None and base.unit == "character"
    assert base.encode("ab") == [0, 97, 98] and base.decode([0, 97, 98, 99, 10, 97], 2) == "bc"


def test_finetuning_and_speaking_from_the_command_line(base, folder, tmp_path, capsys):
    (tmp_path / "cat.txt").write_text(LINES)
    command = f"finetune --base {folder} --text {tmp_path}/cat.txt --out {tmp_path}/cat --json"
    command += " --steps 100 --batch 4 --length 16 --rank 4 --targets all-linear,lm_head"
    assert main(command.split()) == 0
    log = json.loads(capsys.readouterr().out)
    assert log[-1]["held_out"] < 0.3 * np.log(300)  # nats a token: the logarithm is that of a model that knows nothing
    assert main(["generate", "the cat", "--base", str(folder), "--adapter", f"{tmp_path}/cat", "--length", "5", "--temperature", "0"]) == 0
    assert capsys.readouterr().out.startswith("the cat sat ")


def test_generation_ends_at_any_of_the_marks_that_end_a_text(base):
    likeliest = base.encode(base.generate("the cat", length=1, temperature=0)[len("the cat") :])[1]
    ending = replace(base, tokenizer=replace(base.tokenizer, special={"bos_token_id": 0, "eos_token_id": [1, likeliest]}))
    assert ending.generate("the cat", length=9, temperature=0) == "the cat"
    assert len(base.generate("the cat", length=9, temperature=0)) > len("the cat")


def test_a_saved_base_keeps_its_tokenizer_and_its_marks(base, tmp_path):
    (base.tokenizer.folder / "generation_config.json").write_text('{"eos_token_id": [1, 7]}')
    ml.load(base.tokenizer.folder).save(tmp_path / "copy")
    copy = ml.load(tmp_path / "copy")
    assert copy.encode("the cat") == base.encode("the cat") and copy.tokenizer.special == {"bos_token_id": 0, "eos_token_id": [1, 7]}


def test_made_up_corpora_are_refused_and_texts_are_not(base):
    with pytest.raises(ValueError, match="pirate is made of bytes and this base has a tokenizer: give it a text, pydoc or stdlib"):
        base.corpus("pirate")
    assert len(base.corpus("pydoc").data) > 1000


def test_a_token_outside_the_vocabulary_is_refused(folder):
    write_tokenizer(folder)
    with pytest.raises(ValueError, match=r"makes a token 27\d and config.json has a vocab_size of 270: do the two belong together"):
        read_tokenizer(folder, 270).encode("the cat sat on the mat")


@pytest.mark.parametrize("content", ["{}", '{"model": 3}'])
def test_a_tokenizer_that_is_none_is_refused(content, folder):
    pytest.importorskip("tokenizers")
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(ValueError, match="tokenizer.json is no tokenizer .*: was it copied as a whole?"):
        ml.load(folder).encode("the cat")


def test_what_is_missing_is_said_when_it_is_needed(folder, monkeypatch):
    base = ml.load(folder)
    with pytest.raises(ValueError, match="model has a vocabulary of 300 and no tokenizer.json"):
        base.encode("the cat")
    (folder / "tokenizer.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ValueError, match=r"tokenizer.json needs the tokenizers library: pip install 'minilora\[hf\]'"):
        base.encode("the cat")


def test_rows_of_tokens_are_stretches_and_every_token_is_predicted():
    text = Tokens("counting", np.arange(1000))
    inputs, targets = text.train_batch(np.random.default_rng(0), 5, 7)
    assert inputs.shape == targets.shape == (5, 7) and np.array_equal(targets, inputs + 1) and targets.max() < 900
    again = text.train_batch(np.random.default_rng(0), 5, 7)
    assert np.array_equal(inputs, again[0]) and len(np.unique(inputs[:, 0])) > 1
    inputs, targets = text.held_out(3, 30)
    assert inputs[:, 0].tolist() == [900, 930, 960] and np.array_equal(targets, inputs + 1)
    assert text.held_out(99, 30)[0].shape == (3, 30) and text.held_out(99, 5000)[0].shape == (1, 99) and text.entropy(3) is None
    assert Tokens("long", np.arange(10_000)).held_out(2, 5000)[0].shape == (2, 256)


def test_a_text_of_too_few_tokens_is_refused():
    with pytest.raises(ValueError, match="short: a row takes 20 tokens and there are 18 to train on"):
        Tokens("short", np.arange(20)).train_batch(np.random.default_rng(0), 1, 19)
    with pytest.raises(ValueError, match="short has 19 tokens, and a tenth is to be held out: give it at least 20"):
        Tokens("short", np.arange(19)).held_out(1, 5)
