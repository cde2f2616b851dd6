"""A second toy English, which contradicts nothing in the first (training/stories.py): what a base learns without unlearning.

A voyage is two sentences about other heroes, in other words and other templates. As there, all choices are equally likely and no voyage
can be made in two ways, so that its probability is known. It begins unlike any story, so that one model can hold both; whether it
still does after it has seen nothing but voyages is the question. Those that are held out are other draws: of COUNT, three million, hardly
any comes twice.
"""

import math

from minilora.training.corpora import Documents

SLOTS = {
    "captain": "zorg vexa quill jaxon kira mirko ulla tavi".split(),
    "ship": "rocket shuttle cruiser freighter zeppelin submarine".split(),
    "planet": "mars venus jupiter saturn neptune mercury pluto uranus".split(),
    "engine": "fusion steam solar plasma diesel".split(),
    "year": "autumn winter spring summer".split(),
    "robot": "rusty chrome copper plastic".split(),
    "fixed": "repaired oiled painted traded polished".split(),
    "fuel": "hydrogen uranium petrol xenon kerosene".split(),
}
TEMPLATES = (
    "captain {captain} flew a {engine} {ship} to {planet} last {year}.",
    "last {year} the {engine} {ship} of captain {captain} reached {planet}.",
)
ENDINGS = (
    "its {robot} robot {fixed} every valve for some {fuel}.",
    "for {fuel} its {robot} robot {fixed} every valve.",
)
COUNT = len(TEMPLATES) * len(ENDINGS) * math.prod(map(len, SLOTS.values()))


def draw(rng, held_out=False):
    """A voyage -> text, log p in nats."""
    chosen = {slot: str(rng.choice(words)) for slot, words in SLOTS.items()}
    text = f"{TEMPLATES[rng.integers(len(TEMPLATES))]} {ENDINGS[rng.integers(len(ENDINGS))]}".format(**chosen)
    return text, -math.log(COUNT)


VOYAGES = Documents("voyages", draw)
