"""Which modules does a method adapt? Names are matched by suffix, as in PEFT; a name that matches nothing is an error."""

import difflib
import functools
import re

from minilora.methods.patterns import matches, matches_end
from minilora.transformer.config import LINEARS

ATTENTION = tuple(name for name in LINEARS if name.startswith("self_attn."))
MLP = tuple(name for name in LINEARS if name.startswith("mlp."))
GROUPS = {"all-linear": LINEARS, "attention": ATTENTION, "mlp": MLP}


def modules(config):
    """Name -> (d, k) of every matrix that can be adapted, in the order of the forward pass; a tied head is not one of its own."""
    shapes = {name.removesuffix(".weight"): shape for name, shape in config.shapes().items() if len(shape) == 2}
    if config.tie_word_embeddings:
        del shapes["model.embed_tokens"]  # to adapt one use of a shared matrix would untie it
    return shapes


def resolve(targets, config):
    """The modules that `targets` names: 'all-linear', 'attention', 'mlp', or a name or list of names matched by suffix.

    Returns name -> (d, k). Raises ValueError for a target that matches nothing, naming the closest module.
    """
    wanted = [targets] if isinstance(targets, str) else targets
    return dict(_resolved(tuple(part.strip() for target in wanted for part in target.split(",")), config))


@functools.lru_cache(maxsize=256)
def _resolved(wanted, config):
    """Name -> (d, k), and not to be written to: it is kept, since every shard of every step asks for the same."""
    available = modules(config)
    chosen = set()
    for target in wanted:
        suffixes = tuple(f".{suffix}" for suffix in GROUPS.get(target, (target,)))
        found = [name for name in available if f".{name}".endswith(suffixes)]
        if not found:
            raise ValueError(f"target {target!r} matches no module{_hint(target, config, available)}")
        chosen.update(found)
    return {name: shape for name, shape in available.items() if name in chosen}


def _hint(target, config, available):
    if config.tie_word_embeddings and target in ("embed_tokens", "lm_head"):
        return ": this model ties its embedding to its head, and adapting one of the two would untie them"
    leaves = sorted({name.rsplit(".", 1)[-1] for name in available})
    closest = difflib.get_close_matches(target.rsplit(".", 1)[-1], leaves, n=1, cutoff=0.0)[0]
    return f"; the closest is {closest!r} (there are: {', '.join(leaves)}, and the groups {', '.join(GROUPS)})"


def by_pattern(patterns, name, default):
    """The value of the first pattern that matches the end of `name`, as PEFT reads rank_pattern and alpha_pattern, else the default."""
    return next((value for pattern, value in patterns.items() if matches_end(pattern, name)), default)


def shortest(names, config):
    """The last parts of the modules' names where these match the same modules, else the full names, sorted: PEFT's target_modules."""
    leaves = sorted({name.rsplit(".", 1)[-1] for name in names})
    return leaves if resolve(leaves, config).keys() == set(names) else sorted(names)


def from_peft_targets(settings, config, default=("q_proj", "v_proj")):
    """The target modules of an adapter_config.json, as `targets`; `default` is what PEFT takes for a Llama if nothing is said.

    A list matches by suffix, a string is "all-linear" or a pattern for the whole name. layers_to_transform keeps some layers alone, but for
    modules that are named in full; what exclude_modules and modules_to_save name is not adapted. Raises ValueError for an entry of a list
    that matches nothing, and where nothing is left.
    """
    available, wanted, layers = modules(config), settings.get("target_modules"), settings.get("layers_to_transform")
    wanted = default if wanted is None else wanted
    if isinstance(wanted, str):
        if layers is not None:
            raise ValueError(f"layers_to_transform needs a list of target_modules, and they are the pattern {wanted!r}")
        everywhere = wanted.lower() == "all-linear"
        names = resolve("all-linear", config) if everywhere else [name for name in available if matches(wanted, name)]
    else:
        names = set()
        for target in dict.fromkeys(wanted):
            found = [name for name in available if named(name, [target])]
            if not found:
                raise ValueError(f"target_modules names {target!r}, which matches no module of this base{_hint(target, config, available)}")
            names.update(name for name in found if name == target or in_layers(name, layers, settings.get("layers_pattern")))
    excluded, saved = settings.get("exclude_modules") or [], settings.get("modules_to_save") or []
    excluded = [name for name in names if (matches(excluded, name) if isinstance(excluded, str) else named(name, excluded))]
    names = [name for name in names if name not in excluded and not named(name, saved)]
    if not names:
        raise ValueError(
            f"target_modules {wanted!r} match no module of this base that is to be adapted: a string has to match the whole name, "
            "as '.*q_proj' does, and a list the last parts of it; or load the base that the adapter was made for"
        )
    return tuple(shortest(names, config))


def named(name, entries):
    """Whether a module is one of the entries or ends with one, at a dot."""
    return any(name == entry or name.endswith(f".{entry}") for entry in entries)


def in_layers(name, layers, containers=None):
    """Whether a module lies in one of the layers, an index or several: the number that follows one of `containers`, or any word."""
    if layers is None or layers == []:
        return True
    containers = [containers] if isinstance(containers, str) else containers
    index = re.search(rf"(?:^|\.)(?:{'|'.join(map(re.escape, containers)) if containers else '[^.]+'})\.(\d+)\.", name)
    return index is not None and int(index[1]) in ([layers] if isinstance(layers, int) else layers)


def refuse_embedding(names, method):
    """`names` as they are, or ValueError where the embedding is among them: a lookup has no input for the method to act on."""
    if "model.embed_tokens" in names:
        raise ValueError(f"{method} adapts linear layers, and embed_tokens is a lookup: leave it out of the targets, or use lora for it")
    return names


def refuse_settings(settings, supported):
    """ValueError where an adapter_config.json sets one of the names in `supported` to another value than the one there."""
    for name, value in supported.items():
        if settings.get(name, value) != value:
            raise ValueError(f"the adapter has {name} = {settings[name]!r}, and only {value!r} is supported")
