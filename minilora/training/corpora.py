"""Text to train on and to be measured by, as tokens: one interface for made-up stories, their voices, real text and your own files.

A token is a byte; byte 0 is the begin mark, which is given and never predicted; "characters" here are bytes, and a loss is in nats per
predicted character. Nothing is kept between calls: a batch depends on its generator alone, so a run can be resumed at any step.
Production differs: sub-word tokens, text streamed from disk, documents kept from attending to one another.
"""

import difflib
import math
import pydoc_data.topics
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minilora.layers import IGNORED
from minilora.training import stories
from minilora.training.voices import VOICES

BEGIN = 0
HELD_OUT_SHARE = 0.1  # of a plain text: its last tenth
STDLIB_BYTES = 2_000_000


def encode(text):
    """The begin mark and the bytes of a text, as a list of integers."""
    return [BEGIN, *text.encode()]


def decode(tokens):
    """The text of one document: begin marks are dropped, and so is what follows the newline. Bytes that are not UTF-8 become U+FFFD."""
    return bytes(int(token) for token in tokens if token != BEGIN).partition(b"\n")[0].decode(errors="replace")


def shift(rows, T):
    """Rows of tokens, cut or filled up to T + 1 -> inputs (batch, T), targets (batch, T) int64: what follows is to be predicted."""
    tokens = np.full((len(rows), T + 1), BEGIN)  # (batch, T + 1)
    for filled, row in zip(tokens, rows, strict=True):
        filled[: len(row)] = row[: T + 1]
    targets = tokens[:, 1:].copy()  # (batch, T)
    targets[targets == BEGIN] = IGNORED
    return tokens[:, :-1].copy(), targets


@dataclass(frozen=True)
class Documents:
    """A corpus whose documents are drawn and whose probabilities are known. `draw(rng, held_out)` -> text, log p in nats."""

    name: str
    draw: Callable

    def train_batch(self, rng, batch, T):
        """Inputs, targets (batch, T): a row begins with a document, others follow it, and the last is cut off."""
        rows = []
        for _ in range(batch):
            row = []
            while len(row) <= T:
                row += encode(self.draw(rng, False)[0] + "\n")
            rows.append(row)
        return shift(rows, T)

    def held_out(self, count, T):
        """Inputs, targets (count, T): one whole document a row, always the same ones. ValueError if one is longer than T."""
        rows = [encode(text + "\n") for text, _ in self._held_out(count)]
        longest = max(map(len, rows)) - 1
        if longest > T:
            raise ValueError(f"a document of {self.name} has {longest} characters and the row {T}: ask for rows of at least {longest}")
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
    """A plain text, its last tenth held out. A row is the begin mark and a stretch from anywhere; its entropy nobody knows."""

    name: str
    train: np.ndarray  # (characters,) uint8
    rest: np.ndarray  # (characters,) uint8

    def train_batch(self, rng, batch, T):
        """Inputs, targets (batch, T), each row from a random place of the train part. ValueError if that is shorter than a row."""
        starts = rng.integers(self._rows(self.train, T, "train"), size=batch)
        return shift([[BEGIN, *self.train[start : start + T]] for start in starts], T)

    def held_out(self, count, T):
        """Inputs, targets (count, T): consecutive rows, fewer if the held-out part ends. ValueError if it is shorter than one row."""
        starts = range(0, self._rows(self.rest, T, "held-out"), T)
        return shift([[BEGIN, *self.rest[start : start + T]] for start in starts[:count]], T)

    def entropy(self, count):
        """None: the probabilities of real text are not known."""

    def _rows(self, part, T, which):
        if len(part) < T:
            least = math.ceil(T / HELD_OUT_SHARE)
            raise ValueError(
                f"{self.name}: the {which} part has {len(part)} characters and a row takes {T}: give at least {least} or shorten the row"
            )
        return len(part) - T + 1


def from_text(name, text):
    """A corpus of one plain text. ValueError if it is empty or holds the begin mark."""
    data = np.frombuffer(text.encode(), np.uint8)  # (characters,)
    if not text.strip():
        raise ValueError(f"{name} is empty: there is nothing to learn from")
    if BEGIN in data:
        raise ValueError(f"{name}: byte {data.argmin()} is 0, which text never holds: is it a binary file?")
    cut = len(data) - int(len(data) * HELD_OUT_SHARE)
    return Text(name, data[:cut], data[cut:])


def read(path):
    """A corpus of your own: a file, or all *.txt, *.md and *.py of a folder and of those in it, in the order of their paths.

    FileNotFoundError if there is nothing of the kind; ValueError if a file is not UTF-8 or there is no text in it.
    """
    path = Path(path)
    files = sorted(p for kind in ("txt", "md", "py") for p in path.rglob(f"*.{kind}") if p.is_file()) if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(f"{path} holds no *.txt, *.md or *.py: name a folder that does, or one file")
    return from_text(str(path), "\n".join(map(_decoded, files)))


def _decoded(file):
    try:
        return file.read_bytes().decode()
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file or folder {file}: check the path") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 at byte {error.start}: save it as UTF-8, or leave it out") from None


def _story(rng, held_out):
    story, upper = stories.draw(rng, held_out), bool(rng.random() < stories.UPPER_SHARE)
    return (story.upper() if upper else story), stories.log_probability(upper)


def _voice(name):
    return Documents(name, lambda rng, held_out: (VOICES[name].encode(stories.draw(rng, held_out)), stories.log_probability()))


def _pydoc():
    return from_text("pydoc", "\n".join(text for _, text in sorted(pydoc_data.topics.topics.items())))


def _stdlib():
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return from_text("stdlib", "\n".join(map(_decoded, files))[:STDLIB_BYTES])


NAMES = {
    "stories": lambda: Documents("stories", _story),
    **{name: lambda name=name: _voice(name) for name in VOICES},
    "pydoc": _pydoc,
    "stdlib": _stdlib,
}


def load(name):
    """The corpus of this name, or of the file or folder at this path. ValueError, naming the closest, if there is neither."""
    if name in NAMES:
        return NAMES[name]()
    if isinstance(name, Path) or Path(name).exists():
        return read(name)
    closest = difflib.get_close_matches(name, NAMES, n=1, cutoff=0)[0]
    raise ValueError(f"no corpus and no file is called {name!r}; the closest is {closest!r}. There are: {', '.join(NAMES)}")
