"""How the lab trains: through the front door, one worker a trial, since the trials are what runs side by side."""

from functools import lru_cache

from minilora import api


@lru_cache(maxsize=2)
def base(name="stories-base"):
    """A base, read once in each process."""
    return api.load(name)


def fit(method, corpus, name="stories-base", **recipe):
    """An Adapter of the base called `name`; `recipe` sets fields of Recipe, the seed among them."""
    return api.finetune(base(name), method, corpus, progress=False, num_workers=1, **recipe)
