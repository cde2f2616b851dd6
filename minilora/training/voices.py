"""Voices to adapt a model to, each with a checker that says how well a text obeys it.

A voice rewrites a lower-case story word by word and gives every sentence an ending. The word maps are injective on the stories'
vocabulary, so each voiced text comes from one story, and its log-probability is that story's, the case being given.

The checker knows words and endings, not grammar: it cannot say whether a story makes sense.
"""

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from minilora.training.stories import WORDS

PIRATE = {"the": "th'", "my": "me", "you": "ye", "hello": "ahoy", "friend": "matey", "and": "an'"}


@dataclass(frozen=True)
class Voice:
    """A way of speaking: `word` maps each word, `ending` stands in place of every full stop."""

    summary: str
    word: Callable[[str], str]
    ending: str = "."

    def encode(self, story):
        """The lower-case story, or the beginning of one, in this voice."""
        return re.sub(r"[a-z']+|\.", lambda found: self.ending if found[0] == "." else self.word(found[0]), story)

    @cached_property
    def words(self):
        """The stories' vocabulary in this voice."""
        return frozenset(map(self.word, WORDS))

    def score(self, text):
        """How well a text obeys the voice, from 0 to 1: the share of its characters that stand in sentences that obey.

        A sentence obeys if it has the ending and is not the sentence before it, and if all its other words are the voice's own: at least
        three different ones, at most a quarter of them repetitions, none twice in a row. What follows the last full stop was cut off
        and is not judged; a text without a full stop scores 0.
        """
        obeyed = total = 0
        previous = None
        for sentence in re.findall(r"[^.]*\.", text):
            words = re.findall(r'[^\s,"]+', sentence.removesuffix(self.ending))
            obeys = (
                sentence.endswith(self.ending)
                and self.words.issuperset(words)
                and len(set(words)) >= max(3, 0.75 * len(words))
                and all(a != b for a, b in zip(words, words[1:], strict=False))
                and words != previous
            )
            obeyed, total, previous = obeyed + obeys * len(sentence), total + len(sentence), words
        return obeyed / total if total else 0.0


def pig_latin(word):
    """once -> onceway, fox -> oxfay, there -> erethay, quiet -> ietquay."""
    start, rest = re.fullmatch(r"(qu|y?[^aeiouy]*)(.*)", word).groups()
    return f"{rest}{start or 'w'}ay"


VOICES = {
    "shout": Voice("every letter in upper case", str.upper),
    "pirate": Voice("ahoy, matey: six words change and every sentence ends in arr", lambda word: PIRATE.get(word, word), ", arr."),
    "uwu": Voice("r and l become w and every sentence ends in uwu", lambda word: re.sub("[rl]", "w", word), " uwu."),
    "piglatin": Voice("the first consonants move to the end and ay follows", pig_latin),
    "rot13": Voice("every letter moves thirteen places on in the alphabet", lambda word: codecs.encode(word, "rot13")),
}
