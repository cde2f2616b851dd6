"""Which modules does a method adapt? Names are matched by suffix, as in PEFT; a name that matches nothing is an error."""

import difflib
import re

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
    available = modules(config)
    wanted = [targets] if isinstance(targets, str) else list(targets)
    wanted = [part.strip() for target in wanted for part in target.split(",")]
    chosen = set()
    for target in wanted:
        suffixes = GROUPS.get(target, (target,))
        found = [name for name in available if any(name == suffix or name.endswith(f".{suffix}") for suffix in suffixes)]
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
    """The value of the first pattern that matches the end of `name` as PEFT matches rank_pattern and alpha_pattern, else the default."""
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", name):
            return value
    return default


def shortest(names, config):
    """The last parts of the modules' names where these match the same modules, else the full names, sorted: PEFT's target_modules."""
    leaves = sorted({name.rsplit(".", 1)[-1] for name in names})
    return leaves if resolve(leaves, config).keys() == set(names) else sorted(names)


def from_peft_targets(settings, config):
    """The target modules of an adapter_config.json, as `targets`.

    A list matches by suffix, a string is "all-linear" or a pattern for the whole name, layers_to_transform keeps those layers alone.
    """
    wanted = settings.get("target_modules") or ["q_proj", "v_proj"]  # what PEFT takes for a Llama if nothing is said
    if isinstance(wanted, str):
        everywhere = wanted.lower() == "all-linear"
        names = resolve("all-linear", config) if everywhere else [name for name in modules(config) if re.fullmatch(wanted, name)]
    else:
        names = resolve(wanted, config)
    layers = settings.get("layers_to_transform")
    if layers is not None:
        layers = [layers] if isinstance(layers, int) else layers
        names = [name for name in names if int(re.search(r"\.(\d+)\.|$", name)[1] or -1) in layers]
    if not names:
        raise ValueError(f"target_modules {wanted!r} match no module of this base: load the base that the adapter was made for")
    return tuple(shortest(names, config))


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
