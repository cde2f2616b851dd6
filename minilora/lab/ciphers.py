"""Substitution ciphers on the toy stories: tasks whose exact solution is known, and its rank.

A cipher writes letter after letter of the alphabet as another one. A model that knows the plain stories solves it by looking up, for every
letter, what it knows of the letter that is meant: the rows of its embedding E (V, d) change places, and so do the columns of its head
U (d, V). With the permutation matrix P the exact updates are (P - I) E and U (P.T - I), and their rank is that of P - I: the number of
letters that move minus the number of cycles that they move in (one swap: 1; n swaps: n; rot13, which is thirteen swaps: 13). The loss on
the cipher is then the base's on plain text, so that the best is known.
"""

from functools import partial

import numpy as np

from minilora.training import corpora, stories

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
CIPHERS = {
    "one swap": "et",
    "four swaps": "et ao ns rh",
    "rot13": "an bo cp dq er fs gt hu iv jw kx ly mz",
}


def meaning(swaps):
    """token -> the token that is meant: (256,). A swap is its own inverse, so it is also token -> how it is written."""
    meant = np.arange(256)
    for a, b in swaps.split():
        meant[[ord(a), ord(b)]] = ord(b), ord(a)
    return meant


def rank(swaps):
    """The rank of P - I: one for each swap."""
    return len(swaps.split())


def write(story, meant):
    """A story in cipher."""
    return bytes(meant[list(story.encode())].astype(np.uint8)).decode()


def draw(meant, rng, held_out):
    story, log_p = stories.draw(rng, held_out, upper_share=0)
    return write(story, meant), log_p


def corpus(name):
    """The stories in the cipher of this name, in lower case, as a corpora.Documents."""
    return corpora.Documents(name, partial(draw, meaning(CIPHERS[name])))


def plain():
    """The same stories in plain letters."""
    return corpora.Documents("plain", partial(draw, np.arange(256)))


def exact_updates(weights, meant):
    """The update of the embedding (V, d) and of the head (d, V) that solve the cipher exactly, name -> array."""
    E, U = weights[EMBEDDING], weights[HEAD]
    return {EMBEDDING: E[meant] - E, HEAD: U[:, meant] - U}
