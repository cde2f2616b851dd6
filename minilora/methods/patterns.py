r"""Patterns over the names of modules, matched in a time that cannot explode.

An adapter_config.json may name modules by a regular expression, and it may come from anywhere. Python's re tries one way after another, and
an expression as short as (a|a)*b has more ways than there is time. Here all ways are followed at once (Thompson 1968): a part of a
pattern takes the set of places in the name where it may begin to the set of places where it may end.

Known are characters, ".", classes, escapes as \d or \. or \b, "^", "$", groups, "|", and the repeats * + ? {m,n}, lazy ones too: to be lazy
or greedy does not matter to whether a name matches. Left out: flags, references, named groups, looking ahead or behind. They are refused.
"""

import functools
import re

TOKENS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?:|[*+?]\??|\{\d+(?:,\d*)?\}\??|.", re.DOTALL)
MOST_CHARACTERS = 1000
MOST_GROUPS = 8  # one within another


def matches(pattern, name):
    """Whether the whole name matches, as re.fullmatch says it. ValueError for a pattern that is not understood."""
    return len(name) in ends(parsed(pattern), name, {0})


def matches_end(pattern, name):
    """Whether some last parts of the dotted name match: how PEFT matches the keys of rank_pattern and alpha_pattern."""
    letters = plain(pattern)
    if letters is None:
        return _matches_end(pattern, name)
    start = len(name) - len(letters)
    return (
        start >= 0
        and name[start - 1 : start] in ("", ".")
        and all(p in (".", "\\" + n, n) for p, n in zip(letters, name[start:], strict=True))
    )


@functools.lru_cache(maxsize=1 << 13)
def plain(pattern):
    """The letters of a pattern each of which stands for one, as in most: a module's name, or it with "\\."; None of another pattern."""
    return re.findall(r"\\\.|.", pattern) if re.fullmatch(r"(?:\\\.|[\w.-])*", pattern) else None


@functools.lru_cache(maxsize=1 << 16)
def _matches_end(pattern, name):
    return len(name) in ends(parsed(pattern), name, {0} | {i + 1 for i, letter in enumerate(name) if letter == "."})


def ends(part, name, starts):
    """Where a part of a pattern may end if it begins at one of the `starts`."""
    match part:
        case re.Pattern():  # one character, or an edge: nothing in it can be tried twice
            return {found.end() for start in starts if (found := part.match(name, start))}
        case "either", *options:
            return set().union(*(ends(option, name, starts) for option in options))
        case "repeated", inner, least, most:
            return repeated_ends(inner, least, most, name, starts)
    for inner in part:  # one after another
        starts = ends(inner, name, starts) if starts else starts
    return starts


def repeated_ends(part, least, most, name, starts):
    for _ in range(least):
        reached = ends(part, name, starts)
        if reached == starts:  # and will be for ever
            break
        starts = reached
    reached, times = set(starts), least
    while starts and (most is None or times < most):
        starts = ends(part, name, starts) - reached
        reached |= starts
        times += 1
    return reached


@functools.lru_cache(maxsize=1 << 12)
def parsed(pattern):
    """A pattern as a tree: a list is a sequence, a tuple says what it is, and the leaves are compiled by re."""
    if len(pattern) > MOST_CHARACTERS:
        raise ValueError(f"a pattern of {len(pattern):,} characters, {pattern[:40]!r}..., is more than a pattern of names needs")
    tokens = TOKENS.findall(pattern)[::-1]  # the next one is the last of the list
    part = _alternatives(pattern, tokens, 0)
    if tokens:
        raise _not_understood(pattern, tokens[-1])
    return part


def _alternatives(pattern, tokens, depth):
    if depth > MOST_GROUPS:
        raise ValueError(f"the pattern {pattern!r} has groups within groups more than {MOST_GROUPS} deep")
    options = [_sequence(pattern, tokens, depth)]
    while tokens and tokens[-1] == "|":
        tokens.pop()
        options.append(_sequence(pattern, tokens, depth))
    return options[0] if len(options) == 1 else ("either", *options)


def _sequence(pattern, tokens, depth):
    parts = []
    while tokens and tokens[-1] not in ("|", ")"):
        part = _atom(pattern, tokens, depth)
        if tokens and tokens[-1][0] in "*+?{" and tokens[-1] != "{":
            part = ("repeated", part, *_bounds(tokens.pop()))
        parts.append(part)
    return parts


def _atom(pattern, tokens, depth):
    token = tokens.pop()
    if token in ("(", "(?:"):
        part = _alternatives(pattern, tokens, depth + 1)
        if not tokens or tokens.pop() != ")":
            raise _not_understood(pattern, token)
        return part
    if token[0] in "*+?{" or token in ("[", "\\") or re.fullmatch(r"\\[0-9ABZ]", token):
        raise _not_understood(pattern, token)
    try:
        return re.compile(token)
    except re.error:
        raise _not_understood(pattern, token) from None


def _bounds(token):
    """A repeat -> the least and the most times, None for any number."""
    token = token.removesuffix("?") or "?"
    if token[0] == "{":
        least, comma, most = token[1:-1].partition(",")
        return int(least), int(most) if most else None if comma else int(least)
    return {"*": (0, None), "+": (1, None), "?": (0, 1)}[token]


def _not_understood(pattern, token):
    return ValueError(f"the pattern {pattern!r} is not understood at {token!r}: characters, classes, groups, | and repeats are")
