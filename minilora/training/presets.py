"""Recipes that were tried out: of the bases that come with the package, and for each voice that a base may learn.

`minilora pretrain --preset NAME` makes a base again; `minilora finetune --corpus VOICE --preset` teaches a voice.
"""

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

# What LoRA on stories-base needs, in batches of 8, until nine texts of ten obey: the smallest rank of 1, 2, 4, 8, 16, and the steps.
# Shouting is a state that the base knows, and pirate and uwu are a few new words; a new alphabet needs its embedding and head too. At
# rank 1 one text in eight is piglatin after 400 steps, and none is rot13 after 300; at rank 4 and 400 steps it is four in five.
VOICES = {
    "shout": {"rank": 1, "targets": "all-linear", "steps": 50},
    "pirate": {"rank": 1, "targets": "all-linear", "steps": 150},
    "uwu": {"rank": 1, "targets": "all-linear", "steps": 300},
    "piglatin": {"rank": 8, "targets": "all-linear", "steps": 450},
    "rot13": {"rank": 8, "targets": "all-linear,embed_tokens,lm_head", "steps": 400},
}
VOICE_BATCH = 8


def find(name):
    """The preset of this name. ValueError if there is none."""
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]


def find_voice(name):
    """The preset for a voice: rank, targets, steps and batch. ValueError if there is none."""
    if name not in VOICES:
        raise ValueError(f"there is no preset for {name}; there are some for {', '.join(VOICES)}")
    return {**VOICES[name], "batch": VOICE_BATCH}
