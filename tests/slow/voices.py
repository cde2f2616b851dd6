"""Every voice trained with its preset on the shipped base, which takes a minute: not a part of the tests, but of what CI checks."""

import numpy as np
import pytest

import minilora as ml
from minilora.training import presets
from minilora.training.voices import VOICES

TEXTS = 32  # drawn from each adapter, begun with the prompt in its own voice
PROMPT = "once upon a time"


@pytest.fixture(scope="module")
def base():
    return ml.load("stories-base")


def test_the_base_is_close_to_the_grammar_that_made_its_stories(base):
    assert 0 < base.held_out_loss("stories", rows=256)[1] <= 0.05


def test_every_voice_has_its_preset_and_they_differ():
    assert presets.VOICES.keys() == VOICES.keys()
    assert len({preset["rank"] for preset in presets.VOICES.values()}) > 1


@pytest.mark.parametrize("name", VOICES)
def test_an_adapter_obeys_its_own_voice_and_no_other(base, name, capsys):
    preset = presets.VOICES[name]
    method = ml.LoRA(rank=preset["rank"], alpha=2 * preset["rank"], targets=preset["targets"])
    adapter = ml.finetune(base, method, name, steps=preset["steps"], batch=presets.VOICE_BATCH, progress=False)
    texts = base.generate(VOICES[name].encode(PROMPT), adapter, count=TEXTS)
    scores = {voice: float(np.mean([VOICES[voice].score(text) for text in texts])) for voice in VOICES}
    own, others = scores.pop(name), max(scores.values())
    last = adapter.log[-1]
    with capsys.disabled():
        print(
            f"\n{name:<9}rank {method.rank:>2}, {preset['steps']:>3} steps of {1e3 * last['seconds']:.0f} ms: obeyed {own:.0%}, "
            f"others {others:.0%}; held out {last['held_out']:.3f} nats a character, {last['excess']:.3f} above the grammar; {texts[0]}"
        )
    assert own > 0.8 and others < 0.2
