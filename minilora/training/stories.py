"""A toy English whose every document has a known probability: what a small model is trained on, and measured against.

A story is three sentences, each from one of three templates whose slots are filled from lists of words; the hero, once named, may be
named again, and so may the thing found and the neighbour met. Every template of a part fills the same slots, all choices are equally
likely, and no story can be made in two ways: so all COUNT stories are equally likely, log p = -log(COUNT), and a story is a number. A
model's negative log-likelihood of a story it has not seen, minus log(COUNT), is its distance from the best that any model could do.

One document in six is in upper case, for a voice to bring out. Tokens and batches are the subject of corpora.py.
"""

import math
import re
import zlib

SLOTS = {
    "hero": "pip rosie milo hazel theo lily rufus daisy felix ruby hugo clara basil nora otto wren".split(),
    "mood": "brave clever sleepy jolly curious gentle hungry quiet".split(),
    "kind": "fox rabbit badger mouse bear lizard beaver otter pony heron donkey puppy".split(),
    "look": "golden broken silver tiny crooked purple wooden shiny".split(),
    "thing": "lantern pearl feather kettle mirror whistle ladder compass drum button ribbon key".split(),
    "where": "by the road|behind a barn|near the well|in a boat|on the roof|under a bridge|in the attic|by the river".split("|"),
    "neighbour": "owl turtle farmer baker sailor miller goat teacher".split(),
    "said": "said laughed sang cheered".split(),
    "treat": "warm bread|plum jam|honey cake|pea soup|apple pie|fresh figs|roast corn|berry tart".split("|"),
}

PARTS = (  # the slots that a part fills, and its templates; a sentence ends in ".", which stands nowhere else
    (
        ("hero", "mood", "kind", "look", "thing", "where"),
        (
            "once upon a time {hero} the {mood} {kind} found a {look} {thing} {where}.",
            "one day a {mood} {kind} named {hero} saw a {look} {thing} {where}.",
            "a {look} {thing} lay {where}, and {hero} the {mood} {kind} took it.",
        ),
    ),
    (
        ("said", "neighbour"),
        (
            '"hello, my friend, you are lucky," {said} the {neighbour}.',
            '"hello, {hero}, that\'s my {thing}," {said} the {neighbour}.',
            '"you and i can share it, friend," {said} the {neighbour}.',
        ),
    ),
    (
        ("treat",),
        (
            "so {hero} sat down and ate {treat}.",
            "{hero} and the {neighbour} shared {treat}.",
            "and {hero} ate {treat} in the sun.",
        ),
    ),
)

UPPER_SHARE = 1 / 6
HELD_OUT_SHARE = 1 / 16

_EVERYTHING = " ".join(template for _, templates in PARTS for template in templates).format(**{s: " ".join(SLOTS[s]) for s in SLOTS})
WORDS = frozenset(re.findall("[a-z']+", _EVERYTHING))


def count():
    """The number of lower-case stories, of which none is made in two ways: the product of the numbers of choices."""
    return math.prod(len(templates) * math.prod(len(SLOTS[slot]) for slot in slots) for slots, templates in PARTS)


COUNT = count()  # 8,153,726,976


def write(number):
    """The story with this number, from 0 to COUNT - 1: the number's digits, each to its own base, are the choices."""
    chosen, sentences = {}, []
    for slots, templates in PARTS:
        for slot in slots:
            number, choice = divmod(number, len(SLOTS[slot]))
            chosen[slot] = SLOTS[slot][choice]
        number, choice = divmod(number, len(templates))
        sentences.append(templates[choice].format(**chosen))
    return " ".join(sentences)


def is_held_out(story):
    """Whether a lower-case story is kept from training: a checksum of its text decides, so the two parts cannot share one."""
    return zlib.crc32(story.encode()) < HELD_OUT_SHARE * 2**32


def draw(rng, held_out=False, upper_share=UPPER_SHARE):
    """A document of the train or of the held-out part -> text, log p in nats. `rng` is a numpy.random.Generator.

    p is the generator's before it knows of the two parts: knowing that a document is held out would be worth log(16) nats.
    """
    while True:
        story = write(int(rng.integers(COUNT)))
        if is_held_out(story) == held_out:
            break
    upper = rng.random() < upper_share
    return (story.upper() if upper else story), math.log(upper_share if upper else 1 - upper_share) - math.log(COUNT)
