"""Text for a base with a tokenizer of its own: the same interface as in corpora.py, in its tokens.

Losses are in nats per predicted token. Left out: the made-up stories and their voices, which are made of bytes.
"""

from dataclasses import dataclass

import numpy as np

from minilora.training.corpora import Text

LONGEST_HELD_OUT = 256  # tokens a row: a whole context of such a model would take minutes


@dataclass(frozen=True)
class Tokens:
    """A text whose last tenth is held out. A row is a stretch of it, in which each token is predicted from those before it."""

    name: str
    data: np.ndarray  # (tokens,)

    def train_batch(self, rng, batch, T):
        """-> inputs, targets (batch, T), each row from a random place of the train part. ValueError if that is too short for a row."""
        data, _ = self._parts()
        if len(data) <= T:
            raise ValueError(
                f"{self.name}: a row takes {T + 1} tokens and there are {len(data)} to train on: give it more, or shorten the row"
            )
        return stretches(data, rng.integers(len(data) - T, size=batch), T)

    def held_out(self, count, T):
        """-> inputs, targets (count, T): rows one after the other, fewer where the held-out part ends, and no longer than it, or than
        LONGEST_HELD_OUT. ValueError if there is no such part.
        """
        _, data = self._parts()
        T = min(T, LONGEST_HELD_OUT, len(data) - 1)
        if T < 1:
            raise ValueError(f"{self.name} has {len(self.data)} tokens, and a tenth is to be held out: give it at least 20")
        return stretches(data, np.arange(0, len(data) - T, T)[:count], T)

    def entropy(self, count):
        """None: nobody knows the probability of real text."""

    def _parts(self):
        return np.split(self.data, [len(self.data) - len(self.data) // 10])


def stretches(data, starts, T):
    """-> inputs, targets (batch, T): data from each start on, and the same one token later."""
    rows = data[starts[:, None] + np.arange(T + 1)]  # (batch, T + 1)
    return rows[:, :-1], rows[:, 1:]


def in_tokens(corpus, tokenizer):
    """A Text of corpora.py in the tokens of a tokenizer. ValueError for a corpus that is made up."""
    if not isinstance(corpus, Text):
        raise ValueError(f"{corpus.name} is made of bytes and this base has a tokenizer: give it a text, pydoc or stdlib")
    return Tokens(corpus.name, np.array(tokenizer.encode(corpus.data.tobytes().decode(), marks=False)))  # (tokens,)
