"""Patterns of names: Python's re says the same, where it can be waited for."""

import re

import numpy as np
import pytest

from minilora.methods.patterns import matches, matches_end

ATOMS = ["a", "b", "c", ".", "[ab]", "[^a]", "[a-]", r"\.", r"\d", r"\w", r"\b", "^", "$"]
REPEATS = ["", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,}", "{2}?"]
NAME = "model.layers.10.self_attn.q_proj"
LANGUAGE = (
    r"(?:.*?(?:language|text).*?(?:self_attn|mlp).*?(?:q_proj|v_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|mlp)\.(?:(?:q_proj)))"
)


def random_pattern(rng, depth):
    """Atoms, sequences, groups with alternatives; a repeat stands within another no more than twice, for re's sake."""
    kind = rng.integers(4) if depth else 0
    if kind == 1:
        return "".join(random_pattern(rng, depth - 1) for _ in range(rng.integers(1, 4)))
    if kind < 2:
        part = str(rng.choice(ATOMS))
    else:
        options = "|".join(random_pattern(rng, depth - 1) for _ in range(rng.integers(1, 4)))
        part = f"{'(' if kind == 2 else '(?:'}{options})"
    return part if part in ("^", "$", r"\b") else part + str(rng.choice(REPEATS))


def test_random_patterns_match_as_they_do_in_re():
    rng, matched = np.random.default_rng(0), 0
    for _ in range(500):
        pattern = random_pattern(rng, 2)
        for _ in range(3):
            name = "".join(rng.choice(list("abc.1"), rng.integers(0, 7)))
            expected = re.fullmatch(pattern, name) is not None
            assert matches(pattern, name) == expected, (pattern, name)
            assert matches_end(pattern, name) == (re.match(rf"(.*\.)?({pattern})$", name) is not None), (pattern, name)
            matched += expected
    assert matched > 250


@pytest.mark.parametrize(
    "pattern", ["q_proj", "proj", "_proj", "attn.q_proj", r"attn\.q_proj", "attn_q_proj", r"attn\._q_proj", NAME, "x" + NAME, ""]
)
def test_the_name_of_a_module_is_a_pattern_of_its_end(pattern):
    for name in (NAME, NAME.replace("attn.", "attn_"), "q_proj", "xq_proj"):
        assert matches_end(pattern, name) == (re.match(rf"(.*\.)?({pattern})$", name) is not None), name


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r".*q_proj", True),
        ("q_proj", False),
        (r"model\.layers\.\d+\.(self_attn|mlp)\.(q|v)_proj", True),
        (r".*\.(self_attn|mlp)\.(k|v)_proj", False),
        (r".*layers\.(1|2)?0\..*", True),
        (LANGUAGE, True),
        ("", False),
    ],
)
def test_patterns_as_people_write_them(pattern, expected):
    assert matches(pattern, NAME) is expected


@pytest.mark.parametrize(
    "pattern", [r"(\w|\w|\.)*!", "(.*)*" * 100 + "!", ".?" * 400, "((((.{1,99}){1,99}){1,99}){1,99}){1,99}!", "(?:a|a)" * 99]
)
def test_patterns_with_more_ways_than_there_is_time_are_done_at_once(pattern):
    assert matches(pattern, NAME) is (pattern[0] == "." and "!" not in pattern)


@pytest.mark.parametrize(
    ("pattern", "where"),
    [
        ("(a", "(a"),
        ("a)", ")"),
        ("[a", "["),
        ("*", "*"),
        ("a**", "*"),
        ("a*+", "+"),
        ("a{", "{"),
        ("{2}", "{2}"),
        ("a|*", "*"),
        ("a\\", "\\"),
    ]
    + [("(?=a)", "?"), ("(?!a)", "?"), ("(?i)a", "?"), ("(?P<x>a)", "?"), (r"(a)\1", r"\\1"), (r"\A", r"\\A"), ("[b-a]", "[b-a]")],
)
def test_what_is_not_known_is_refused(pattern, where):
    with pytest.raises(ValueError, match="is not understood at .*: characters, classes, groups, | and repeats are") as error:
        matches(pattern, NAME)
    assert where in str(error.value)


@pytest.mark.parametrize(("pattern", "message"), [("a" * 1001, "a pattern of 1,001 characters"), ("(" * 10 + ")" * 10, "more than 8 deep")])
def test_what_is_too_long_or_too_deep_is_refused(pattern, message):
    with pytest.raises(ValueError, match=message):
        matches(pattern, NAME)
