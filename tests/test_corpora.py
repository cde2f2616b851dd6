"""Corpora as tokens: what is predicted, what is held out, and what is said about bad input."""

import math

import numpy as np
import pytest

from minilora.layers import IGNORED
from minilora.training import corpora, stories
from minilora.training.voices import VOICES

KNOWN = ["stories", *VOICES]


def rng(seed=0):
    return np.random.default_rng(seed)


def characters(inputs, targets):
    """The text of one row, from its targets alone; what is not predicted is left out."""
    assert np.array_equal(inputs[1:][targets[:-1] != IGNORED], targets[:-1][targets[:-1] != IGNORED]), "targets are the inputs, one ahead"
    return bytes(targets[targets != IGNORED].astype(np.uint8)).decode()


def own(tmp_path, text="", name="own.txt"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("name", corpora.NAMES)
def test_a_batch_depends_on_its_generator_alone(name):
    corpus = corpora.load(name)
    inputs, targets = corpus.train_batch(rng(), 3, 100)
    assert inputs.shape == targets.shape == (3, 100) and inputs.dtype == targets.dtype == np.int64
    assert np.all(inputs[:, 0] == corpora.BEGIN) and inputs.max() < 256
    assert all(np.array_equal(*pair) for pair in zip((inputs, targets), corpus.train_batch(rng(), 3, 100), strict=True))
    assert not np.array_equal(inputs, corpus.train_batch(rng(1), 3, 100)[0])
    assert corpus.held_out(2, 255)[0].shape == (2, 255)


@pytest.mark.parametrize("name", KNOWN)
def test_a_row_of_training_is_documents_and_begin_marks_are_given(name):
    corpus = corpora.load(name)
    drawn = rng()
    expected = "".join(corpus.draw(drawn, False)[0] + "\n" for _ in range(20))
    inputs, targets = corpus.train_batch(rng(), 1, 1000)
    assert expected.startswith(characters(inputs[0], targets[0]))
    assert np.array_equal(targets[0, :-1] == IGNORED, inputs[0, 1:] == corpora.BEGIN) and np.sum(inputs == corpora.BEGIN) > 3


@pytest.mark.parametrize("name", KNOWN)
def test_held_out_documents_are_whole_and_their_probability_is_known(name):
    corpus = corpora.load(name)
    inputs, targets = corpus.held_out(40, 255)
    texts = [characters(*row) for row in zip(inputs, targets, strict=True)]
    assert all(text.endswith(".\n") and text.count("\n") == 1 for text in texts) and len(set(texts)) == 40
    case = 0 if name in VOICES else sum(math.log(1 / 6 if text.isupper() else 5 / 6) for text in texts)
    assert corpus.entropy(40) == pytest.approx((40 * math.log(stories.COUNT) - case) / np.sum(targets != IGNORED))


def test_held_out_documents_are_those_that_training_never_draws():
    inputs, targets = corpora.load("stories").held_out(40, 255)
    assert all(stories.is_held_out(characters(*row).lower().rstrip("\n")) for row in zip(inputs, targets, strict=True))
    drawn = rng()
    assert not any(stories.is_held_out(corpora.load("stories").draw(drawn, False)[0].lower()) for _ in range(200))
    for name, voice in VOICES.items():
        drawn, again = rng(), rng()
        for held_out in (False, True):
            assert corpora.load(name).draw(drawn, held_out)[0] == voice.encode(stories.draw(again, held_out, upper_share=0)[0])


def test_a_row_that_cannot_hold_a_document_is_refused():
    with pytest.raises(ValueError, match="stories: a held-out document has 1.. characters and a row 100: ask for longer rows"):
        corpora.load("stories").held_out(40, 100)


def test_a_text_of_your_own_is_split_by_position(tmp_path):
    text = "".join(map(chr, range(33, 123))) + "0123456789"  # a hundred different places
    corpus = corpora.load(str(own(tmp_path, text)))
    inputs, targets = corpus.train_batch(rng(), 2000, 8)
    rows = {characters(*row) for row in zip(inputs, targets, strict=True)}
    assert rows == {text[start : start + 8] for start in range(83)}
    assert [characters(*row) for row in zip(*corpus.held_out(9, 5), strict=True)] == ["01234", "56789"]
    assert corpus.entropy(9) is None


def test_a_folder_is_its_text_files_in_order(tmp_path):
    (tmp_path / "sub").mkdir()
    for name, text in {"b.md": "B", "a.txt": "A", "c.bin": b"\xff", "sub/d.py": "D"}.items():
        own(tmp_path, text, name)
    assert corpora.read(tmp_path).data.tobytes() == b"A\nB\nD"


def test_tokens_and_text():
    assert corpora.encode("hé") == [0, 104, 195, 169]
    assert corpora.decode([0, *"hé\n".encode(), 0, 65]) == "hé"
    assert corpora.decode(np.array([0, 104, 195])) == "h\ufffd"


def test_the_ends_of_lines_and_the_mark_of_other_systems_are_no_text(tmp_path):
    assert bytes(corpora.load(own(tmp_path, b"\xef\xbb\xbfone\r\ntwo\rthree\n")).data) == b"one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "own.txt is empty"),
        (" \n", "own.txt is empty"),
        (b"ab\xff", "own.txt is not UTF-8 at byte 2"),
        ("a\0", "own.txt holds a zero at byte 1"),
    ],
)
def test_a_text_that_cannot_be_learnt_from_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        corpora.load(own(tmp_path, content))


def test_a_text_shorter_than_a_row_is_refused(tmp_path):
    corpus = corpora.load(own(tmp_path, "x" * 99))
    with pytest.raises(ValueError, match="own.txt: a row takes 91 characters and there are 90 to train on: give it 101 or shorten the row"):
        corpus.train_batch(rng(), 1, 91)
    assert corpus.train_batch(rng(), 1, 90)[0].shape == (1, 90)
    assert corpora.load(own(tmp_path, "x" * 101)).train_batch(rng(), 1, 91)[0].shape == (1, 91)
    with pytest.raises(ValueError, match="own.txt: a row takes 91 characters"):
        corpora.load(own(tmp_path, "x" * 100)).train_batch(rng(), 1, 91)


def test_a_held_out_part_shorter_than_a_row_is_one_shorter_row(tmp_path):
    assert corpora.load(own(tmp_path, "x" * 99)).held_out(5, 256)[0].shape == (1, 9)
    with pytest.raises(ValueError, match="own.txt has 9 characters, and a tenth is to be held out: give it at least 10"):
        corpora.load(own(tmp_path, "x" * 9)).held_out(5, 256)


def test_a_path_that_leads_nowhere_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file or folder .*nothing.txt"):
        corpora.read(tmp_path / "nothing.txt")
    with pytest.raises(FileNotFoundError, match=r"holds no \*.txt, \*.md or \*.py"):
        corpora.read(tmp_path)
    with pytest.raises(ValueError, match="no corpus or file is called 'pirat'; the closest is 'pirate'. There are stories, shout"):
        corpora.load("pirat")
    with pytest.raises(ValueError, match=r"^no corpus or file is called 'the text .{50,90}'; the closest is"):  # not the whole of it
        corpora.load("the text itself " * 40)
    with pytest.raises(ValueError, match="no corpus or file is called ''"):  # not the current folder
        corpora.load("")
