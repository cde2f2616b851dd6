"""Text to train on and to be measured by, as tokens: made-up stories, their voices, real text and your own files behind one interface.

A token is a byte, and byte 0 is the begin mark: given, never predicted. A character here is a byte; losses are in nats per predicted
character. A corpus keeps nothing between calls: a batch depends on its generator alone, so a run can be resumed at any step.
Production differs: sub-word tokens, text streamed from disk, documents in one row kept from attending to one another.
"""

import difflib
import os
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minilora.files.strict_json import short
from minilora.layers import IGNORED
from minilora.training import stories
from minilora.training.voices import VOICES

BEGIN = 0
NAMES = ("stories", *VOICES, "pydoc", "stdlib")


def encode(text):
    """The begin mark and the bytes of a text, as a list of integers. ValueError for one that is no UTF-8, as a terminal may hand over."""
    try:
        return [BEGIN, *text.encode()]
    except UnicodeEncodeError as error:
        raise ValueError(f"the text {text[:40]!r} is not UTF-8 at character {error.start}: type it anew") from None


def decode(tokens):
    """The text of one document: begin marks are dropped, and so is what follows the newline. Bytes that are not UTF-8 become U+FFFD."""
    return bytes(int(token) for token in tokens if token != BEGIN).partition(b"\n")[0].decode(errors="replace")


def shift(rows, T):
    """Rows of tokens, each cut or filled up to T + 1 -> inputs (batch, T), targets (batch, T) int64: all but begin marks is predicted."""
    tokens = np.full((len(rows), T + 1), BEGIN)  # (batch, T + 1)
    for filled, row in zip(tokens, rows, strict=True):
        filled[: len(row)] = row[: T + 1]
    following = tokens[:, 1:]  # (batch, T)
    return tokens[:, :-1].copy(), np.where(following == BEGIN, IGNORED, following)


@dataclass(frozen=True)
class Documents:
    """Documents of known probability. `draw(rng, held_out)` -> text, log p in nats."""

    name: str
    draw: Callable

    def train_batch(self, rng, batch, T):
        """-> inputs, targets (batch, T). A row begins with a document; others follow, and the last is cut off."""
        rows = [[] for _ in range(batch)]
        for row in rows:
            while len(row) <= T:
                row += encode(self.draw(rng, False)[0] + "\n")
        return shift(rows, T)

    def held_out(self, count, T):
        """-> inputs, targets (count, T): one whole document a row, always the same ones. ValueError if one is longer than T."""
        rows = [encode(text + "\n") for text, _ in self._held_out(count)]
        longest = max(map(len, rows)) - 1
        if longest > T:
            raise ValueError(f"{self.name}: a held-out document has {longest} characters and a row {T}: ask for longer rows")
        return shift(rows, T)

    def entropy(self, count):
        """The generator's own loss on these held-out documents, in nats per predicted character: the best that a model can hope for."""
        documents = self._held_out(count)
        return -sum(log_p for _, log_p in documents) / sum(len(text) + 1 for text, _ in documents)

    def _held_out(self, count):
        rng = np.random.default_rng(0)
        return [self.draw(rng, True) for _ in range(count)]


@dataclass(frozen=True)
class Text:
    """Plain text whose last tenth is held out. A row is the begin mark and a stretch of text; its entropy nobody knows."""

    name: str
    data: np.ndarray  # (characters,) uint8

    def train_batch(self, rng, batch, T):
        """-> inputs, targets (batch, T), each row from a random place of the train part. ValueError if that is shorter than a row."""
        data, _ = self._parts()  # (characters,)
        if len(data) < T:
            enough = T + (T - 1) // 9  # of which nine tenths are T
            raise ValueError(
                f"{self.name}: a row takes {T} characters and there are {len(data)} to train on: give it {enough} or shorten the row"
            )
        starts = rng.integers(len(data) - T + 1, size=batch)
        return shift([[BEGIN, *data[start : start + T]] for start in starts], T)

    def held_out(self, count, T):
        """-> inputs, targets (count, T): rows one after the other, fewer where the held-out part ends; a part shorter than T is one row
        of its length. ValueError if there is no such part.
        """
        _, data = self._parts()  # (characters,)
        if not len(data):
            raise ValueError(f"{self.name} has {len(self.data)} characters, and a tenth is to be held out: give it at least 10")
        T = min(T, len(data))
        starts = range(0, len(data) - T + 1, T)[:count]
        return shift([[BEGIN, *data[start : start + T]] for start in starts], T)

    def entropy(self, count):
        """None: nobody knows the probability of real text."""

    def _parts(self):
        return np.split(self.data, [len(self.data) - len(self.data) // 10])


def from_text(name, text):
    """A corpus of one text. ValueError if it is empty or holds the begin mark."""
    data = np.frombuffer(text.encode(), np.uint8)  # (characters,)
    if not text.strip():
        raise ValueError(f"{name} is empty: give it text to learn from")
    if BEGIN in data:
        raise ValueError(f"{name} holds a zero at byte {data.argmin()}, which no text does: is it a binary file?")
    return Text(name, data)


def read(path):
    """A corpus of your own: a file, or every *.txt, *.md and *.py in a folder and below it, in the order of their paths.

    Lines end in a newline, whatever ends them in the file, and a byte order mark is left out. FileNotFoundError where there is nothing to
    read; ValueError for what is neither file nor folder, where a file is not UTF-8, or all of them are empty.
    """
    path = Path(path)
    files = [path]
    if path.exists() and not (path.is_dir() or path.is_file()):
        raise ValueError(f"{path} is neither a file nor a folder: name one")
    if path.is_dir():
        os.listdir(path)  # PermissionError where it may not be looked into, of which rglob says nothing
        files = sorted(file for file in path.rglob("*") if file.suffix in (".txt", ".md", ".py") and file.is_file())
    if not files:
        raise FileNotFoundError(f"{path} holds no *.txt, *.md or *.py: name a folder that does, or a file")
    return from_text(str(path), "\n".join(map(_decoded, files)))


def _decoded(file):
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file or folder {file}: check the path") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 at byte {error.start}: save it as UTF-8, or leave it out") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _voiced(voice, rng, held_out):
    story, log_p = stories.draw(rng, held_out, upper_share=0)
    return voice.encode(story), log_p


def load(name):
    """The corpus of this name, or of the file or folder at this path. ValueError, naming the closest, where there is neither."""
    if name == "stories":
        return Documents(name, stories.draw)
    if name in VOICES:
        return Documents(name, lambda rng, held_out: _voiced(VOICES[name], rng, held_out))
    if name == "pydoc":  # the language reference that every CPython carries
        from pydoc_data.topics import topics

        return from_text(name, "\n".join(topics[topic] for topic in sorted(topics)))
    if name == "stdlib":  # the standard library's own source
        files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
        return from_text(name, "\n".join(map(_decoded, files))[:2_000_000])
    if isinstance(name, Path) or os.path.exists(name):  # False for what is too long for a path; Path(name).exists() fails there
        return read(name)
    closest = difflib.get_close_matches(name, NAMES, n=1, cutoff=0)[0]
    raise ValueError(
        f"no corpus or file is called {short(name)}; the closest is {closest!r}. There are {', '.join(NAMES)}, and your own files"
    )
