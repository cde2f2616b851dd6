"""The toy English: how many stories there are, that each has one derivation, and what its probability is."""

import itertools
import math
import re

import numpy as np

from minilora.training import stories


def draws(count, seed=0, **dials):
    rng = np.random.default_rng(seed)
    return [stories.draw(rng, **dials) for _ in range(count)]


def first_words(template):
    """Every pair of words that a sentence of this template can begin with."""
    return set(itertools.product(*map(filled, template.split()[:2])))


def filled(word):
    """Every form of a template's word."""
    slot = re.search(r"{(\w+)}", word)
    return {word.replace(slot[0], choice) for choice in stories.SLOTS[slot[1]]} if slot else {word}


def test_no_story_can_be_made_in_two_ways():
    """A reader who goes from left to right never has to guess, so the choices can be read off the text."""
    known = set()
    for slots, templates in stories.PARTS:
        for template in templates:
            assert template.endswith(".") and template.count(".") == 1, "sentences are told apart by their full stops"
            assert set(slots) <= set(re.findall(r"{(\w+)}", template)) <= {*slots, *known}, "each choice of a part shows in its sentence"
        for one, other in itertools.combinations(templates, 2):
            assert not first_words(one) & first_words(other), "templates are told apart by their first two words"
        known |= {*slots}
    for choices in stories.SLOTS.values():
        assert "." not in "".join(choices)
        assert not any(one.startswith(other) for one, other in itertools.permutations(choices, 2)), "choices are told apart as read"


def test_the_count_is_that_of_the_different_stories(monkeypatch):
    assert stories.COUNT == stories.count() >= 10**9
    monkeypatch.setattr(stories, "SLOTS", {slot: choices[:2] for slot, choices in stories.SLOTS.items()})
    assert len({stories.write(number) for number in range(stories.count())}) == stories.count() == 3**3 * 2**9


def test_the_probabilities_of_all_documents_sum_to_one():
    seen = {text.isupper(): math.exp(log_p) for text, log_p in draws(50)}
    assert set(seen) == {False, True} and math.isclose(stories.COUNT * sum(seen.values()), 1)
    assert {log_p for _, log_p in draws(5, upper_share=0)} == {-math.log(stories.COUNT)}


def test_one_document_in_six_is_upper_case():
    upper = np.mean([text.isupper() for text, _ in draws(3000)])
    assert abs(upper - 1 / 6) < 5 * math.sqrt(1 / 6 * 5 / 6 / 3000)  # five deviations of a share


def test_train_and_held_out_share_no_story():
    for held_out in (False, True):
        assert all(stories.is_held_out(text.lower()) == held_out for text, _ in draws(200, held_out=held_out))
    rng = np.random.default_rng(0)
    share = np.mean([stories.is_held_out(stories.write(int(number))) for number in rng.integers(stories.COUNT, size=3000)])
    assert abs(share - 1 / 16) < 5 * math.sqrt(1 / 16 * 15 / 16 / 3000)


def test_the_vocabulary_is_that_of_the_stories():
    assert {word for text, _ in draws(3000, upper_share=0) for word in re.findall("[a-z']+", text)} == stories.WORDS
