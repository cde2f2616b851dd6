"""A toy English whose every document has a known probability: what a small model is trained on, and measured against.

A story is three sentences. Each is written from one of its part's templates, and the slots are filled from lists of words; the hero, once
named, may be named again, and so may the thing found and the neighbour met. All choices are equally likely, and every template of a
part makes the same new choices, so all COUNT stories are equally likely: log p = -log(COUNT). No story can be made in two ways. So a
model's loss on stories it has not seen, minus log(COUNT) a story, says how far it is above the best that any model could do.

One document in six is in upper case, for a voice to bring out. Tokens, batches and other texts are the subject of corpora.py.
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

PARTS = (  # a sentence ends in ".", which stands nowhere else
    (
        "once upon a time {hero} the {mood} {kind} found a {look} {thing} {where}.",
        "one day a {mood} {kind} named {hero} saw a {look} {thing} {where}.",
        "a {look} {thing} lay {where}, and {hero} the {mood} {kind} took it.",
    ),
    (
        '"hello, my friend, you are lucky," {said} the {neighbour}.',
        '"hello, {hero}, that\'s my {thing}," {said} the {neighbour}.',
        '"you and i can share it, friend," {said} the {neighbour}.',
    ),
    (
        "so they sat down and ate {treat}.",
        "{hero} and the {neighbour} shared {treat}.",
        "and they ate {treat} in the sun.",
    ),
)

COUNT = math.prod(map(len, PARTS)) * math.prod(map(len, SLOTS.values()))  # of lower-case stories: 8.2e9
UPPER_SHARE = 1 / 6
HELD_OUT_SHARE = 1 / 16
WORDS = frozenset(re.findall("[a-z']+", " ".join([re.sub("{.*?}", " ", " ".join(map(" ".join, PARTS))), *map(" ".join, SLOTS.values())])))


def new_slots(template, known=()):
    """The slots that a template fills first, in the order of SLOTS."""
    return [slot for slot in SLOTS if f"{{{slot}}}" in template and slot not in known]


def write(number):
    """The story with this number, from 0 to COUNT - 1: the number's digits, each to its own base, are the choices."""
    chosen, sentences = {}, []
    for templates in PARTS:
        number, choice = divmod(number, len(templates))
        template = templates[choice]
        for slot in new_slots(template, chosen):
            number, choice = divmod(number, len(SLOTS[slot]))
            chosen[slot] = SLOTS[slot][choice]
        sentences.append(template.format(**chosen))
    return " ".join(sentences)


def draw(rng, held_out=False):
    """A lower-case story of the train or of the held-out part. `rng` is a numpy.random.Generator."""
    while True:
        story = write(int(rng.integers(COUNT)))
        if is_held_out(story) == held_out:
            return story


def is_held_out(story):
    """Whether a lower-case story is kept from training: a checksum of its text decides, so the two parts cannot share one."""
    return zlib.crc32(story.encode()) < HELD_OUT_SHARE * 2**32


def log_probability(upper=None):
    """Of any one story, in nats: log p = -log(COUNT) if its case is given, and less by the case's own share if the case was drawn too."""
    case = 0 if upper is None else math.log(UPPER_SHARE if upper else 1 - UPPER_SHARE)
    return case - math.log(COUNT)
