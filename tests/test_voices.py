"""Each voice and its checker: true to its own, deaf to the others, not fooled by babble."""

import itertools

import numpy as np
import pytest

from minilora.training import stories
from minilora.training.voices import VOICES

STORY = 'one day a quiet puppy named theo saw a key. "you and i can share it, friend," said the owl. hello, my friend.'
EXPECTED = {
    "shout": 'ONE DAY A QUIET PUPPY NAMED THEO SAW A KEY. "YOU AND I CAN SHARE IT, FRIEND," SAID THE OWL. HELLO, MY FRIEND.',
    "pirate": "one day a quiet puppy named theo saw a key, arr. \"ye an' i can share it, matey,\" said th' owl, arr. ahoy, me matey, arr.",
    "uwu": 'one day a quiet puppy named theo saw a key uwu. "you and i can shawe it, fwiend," said the oww uwu. hewwo, my fwiend uwu.',
    "piglatin": 'oneway ayday away ietquay uppypay amednay eothay awsay away eykay. "ouyay andway iway ancay areshay itway, iendfray," '
    "aidsay ethay owlway. ellohay, ymay iendfray.",
    "rot13": 'bar qnl n dhvrg chccl anzrq gurb fnj n xrl. "lbh naq v pna funer vg, sevraq," fnvq gur bjy. uryyb, zl sevraq.',
}
each_voice = pytest.mark.parametrize("name", VOICES)


def draws(count):
    rng = np.random.default_rng(0)
    return [stories.draw(rng, upper_share=0)[0] for _ in range(count)]


def longest(voice):
    """The longest story in this voice: the longest choice in every slot, and the longest of the combinations of templates."""
    chosen = {slot: max(choices, key=lambda choice: len(voice.encode(choice))) for slot, choices in stories.SLOTS.items()}
    return max((voice.encode(" ".join(c).format(**chosen)) for c in itertools.product(*(t for _, t in stories.PARTS))), key=len)


@each_voice
def test_a_known_story(name):
    assert VOICES[name].encode(STORY) == EXPECTED[name]


@each_voice
def test_no_two_words_become_one(name):
    """So a voiced text comes from one story, and has its probability."""
    assert len(VOICES[name].words) == len(stories.WORDS)


@each_voice
def test_every_document_fits_the_context_and_uses_the_bytes_of_the_stories(name):
    """A byte that the base has never met has no embedding to adapt."""
    assert len(longest(VOICES[name])) + 2 <= 255  # with the begin mark and the newline
    known = set("".join(text + text.upper() for text in draws(300)))
    assert set("".join(map(VOICES[name].encode, draws(300)))) <= known


@each_voice
def test_only_the_voice_itself_passes_its_checker(name):
    for story in draws(100):
        assert VOICES[name].score(story) <= 0.05
        for other, voice in VOICES.items():
            score = VOICES[name].score(voice.encode(story))
            assert score >= 0.99 if other == name else score <= 0.05


@each_voice
@pytest.mark.parametrize(
    "babble",
    [
        *["", "  \n", ".", "...", "arr arr arr", "arr, arr, arr.", "HA HA HA HA HA.", "uwu uwu uwu.", "ay ay ay."],
        *["{end}" * 9, "{the} {the} {the}{end}", "{the} {fox}{end} " * 9, "{the} {fox} " * 9 + "{end}"],
        "{the} {fox} {saw} " * 4 + "{end}",
        *["{the} {fox} {saw} {zzz}{end}", "{the} {the} {owl} {and} {the} {key}{end}"],
    ],
)
def test_babble_scores_low(name, babble):
    voice = VOICES[name]
    words = {word: voice.word(word) for word in ("the", "fox", "saw", "zzz", "owl", "and", "key")}
    assert voice.score(babble.format(end=voice.ending, **words)) < 0.2


@each_voice
def test_a_sentence_over_and_over_counts_once(name):
    sentence = VOICES[name].encode("so pip sat down and ate plum jam.")
    assert VOICES[name].score(sentence * 10) == pytest.approx(0.1)


@each_voice
def test_a_text_may_begin_and_end_in_the_middle_of_a_sentence(name):
    """What a model writes begins after the prompt and ends where the budget does."""
    text = VOICES[name].encode(draws(1)[0])
    assert VOICES[name].score(text[text.index(" ") : -3]) == 1
    assert VOICES[name].score(text[: text.index(".")]) == 0


@each_voice
def test_the_score_is_the_share_of_characters(name):
    story = draws(1)[0]
    voiced = VOICES[name].encode(story)
    assert VOICES[name].score(voiced + story) == pytest.approx(len(voiced) / len(voiced + story))
