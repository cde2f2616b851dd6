"""The recipes of the bases that come with the package: `minilora pretrain --preset NAME` makes them again."""

from minilora.transformer import Config

PRESETS = {
    "stories-base": {
        "config": Config(),
        "corpus": "stories",
        "recipe": {
            "steps": 3000,
            "batch": 24,
            "length": 256,
            "learning_rate": 3e-3,
            "warmup": 100,
            "weight_decay": 0.1,
            "evaluate_every": 250,
            "held_out": 256,
            "seed": 1,
        },
    },
}


def find(name):
    """The preset of this name. ValueError if there is none."""
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]
