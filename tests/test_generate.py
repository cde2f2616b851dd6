"""Sampling and the key/value cache."""

import numpy as np
import pytest

from minilora.methods.check import tiny_model
from minilora.transformer.generate import generate, sample


@pytest.mark.parametrize("tied", [False, True])
def test_cached_decoding_gives_the_tokens_of_the_uncached(tied):
    config, weights, tokens, _ = tiny_model(tied)
    cached = generate(config, weights, tokens, 9, seed=3)
    assert cached.shape == (2, 14) and np.array_equal(cached, generate(config, weights, tokens, 9, seed=3, cached=False))
    assert not np.array_equal(cached, generate(config, weights, tokens, 9, seed=4))


def test_generation_ends_at_the_context_and_at_the_stop_token():
    config, weights, tokens, _ = tiny_model()
    assert generate(config, weights, tokens, 99).shape == (2, 16)
    likeliest = generate(config, weights, tokens[:1], 1, temperature=0)[0, -1]
    assert generate(config, weights, tokens[:1], 9, temperature=0, stop=likeliest).shape == (1, 6)


def test_sampling_follows_the_probabilities():
    p = np.array([0.5, 0.3, 0.15, 0.05])
    rows = np.tile(np.log(p), (20000, 1))
    rng = np.random.default_rng(0)

    def shares(**dials):
        return np.bincount(sample(rows, rng, **dials), minlength=4) / len(rows)

    margin = 5 * np.sqrt(0.25 / len(rows))  # five deviations of a share
    assert np.abs(shares() - p).max() < margin
    assert np.abs(shares(temperature=0.5) - p**2 / np.sum(p**2)).max() < margin
    assert np.abs(shares(top_k=2) - [0.625, 0.375, 0, 0]).max() < margin
    assert np.abs(shares(top_p=0.7) - [0.625, 0.375, 0, 0]).max() < margin
    assert shares(temperature=0)[0] == 1


@pytest.mark.parametrize("dials", [{"temperature": -1}, {"top_k": -1}, {"top_p": 0}])
def test_bad_sampling_dials_are_refused(dials):
    with pytest.raises(ValueError, match="must be at least 0"):
        sample(np.zeros((1, 3)), np.random.default_rng(0), **dials)


@pytest.mark.parametrize("temperature", [0, 1])
def test_logits_that_are_not_finite_are_refused(temperature):
    with pytest.raises(ValueError, match="the logits are not finite, and no token can be drawn: is alpha too large, or did the training"):
        sample(np.array([[0, np.nan, 1]]), np.random.default_rng(0), temperature)


@pytest.mark.parametrize(("length", "message"), [(0, "prompt is empty"), (17, "prompt has 17 tokens and the context 16")])
def test_a_prompt_that_cannot_be_continued_is_refused(length, message):
    config, weights, _, _ = tiny_model()
    with pytest.raises(ValueError, match=message):
        generate(config, weights, np.zeros((1, length), int), 1)
