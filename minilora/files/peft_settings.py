"""What an adapter_config.json says: read strictly, and turned into the method that it describes.

PEFT takes what it finds: a lower-case type is a KeyError there, a rank that is a text fails somewhere inside, an unknown setting is passed
over. Here each setting has a form; those that would change what the adapter computes and that are not supported are refused; and an
adapter whose training changed the base itself is refused too, since the base at hand is not that one.
"""

import warnings
from pathlib import Path

from minilora.files.strict_json import read_json, short
from minilora.methods import METHODS
from minilora.methods.patterns import plain
from minilora.methods.with_copies import WithCopies, saved_modules

LONGEST_NAME = 1000  # characters
MOST_ENTRIES = 4000  # of a list or a table
MOST_PATTERN = 4000  # characters of patterns that are more than a name: each costs time at each module


def whole(value):
    return type(value) is int and 1 <= value < 2**31


def number(value):
    return type(value) in (int, float) and -(2**53) < value < 2**53  # infinity and what is no number fail as well


def share(value):
    return number(value) and 0 <= value < 1


def flag(value):
    return isinstance(value, bool)


def text(value):
    return isinstance(value, str) and len(value) <= LONGEST_NAME


def list_of(entry):
    return lambda value: isinstance(value, list) and len(value) <= MOST_ENTRIES and all(map(entry, value))


def table_of(entry):
    return lambda value: (
        isinstance(value, dict) and len(value) <= MOST_ENTRIES and all(map(text, value)) and all(map(entry, value.values()))
    )


def either(*forms):
    return lambda value: any(form(value) for form in forms)


def index(value):
    return type(value) is int and 0 <= value < 2**31


COUNT, NUMBER, SHARE, FLAG = (
    ("a whole number of at least 1", whole),
    ("a number", number),
    ("at least 0 and below 1", share),
    ("true or false", flag),
)
TEXT, TEXTS, NAMES = ("a text", text), ("a list of texts", list_of(text)), ("a text or a list of texts", either(text, list_of(text)))
FORMS = {  # null is allowed everywhere: PEFT then takes its default
    **dict.fromkeys(("r", "init_r", "target_r", "num_virtual_tokens", "deltaT"), COUNT),
    **dict.fromkeys(("lora_alpha", "d_initial", "orth_reg_weight"), NUMBER),
    **dict.fromkeys(("lora_dropout", "vera_dropout"), SHARE),
    **dict.fromkeys(("use_rslora", "use_dora", "save_projection"), FLAG),
    **dict.fromkeys(("target_modules", "exclude_modules", "feedforward_modules", "layers_pattern"), NAMES),
    **{"peft_type": TEXT, "base_model_name_or_path": TEXT, "modules_to_save": TEXTS},
    "layers_to_transform": ("an index or a list of indices", either(index, list_of(index))),
    "alpha_pattern": ("a table of numbers", table_of(number)),
    "rank_pattern": ("a table of whole numbers of at least 1", table_of(whole)),
    "init_lora_weights": ("true, false or a text", either(flag, text)),
}
SHRUNK = ("a table of lists of true and false", table_of(list_of(flag)))  # AdaLoRA's rank_pattern
NEUTRAL = {  # what changes the adapter's arrays or what they do, and is not supported: the values at which it does nothing
    **dict.fromkeys(("fan_in_fan_out", "lora_bias", "use_qalora"), (False,)),
    **dict.fromkeys(("layer_replication", "trainable_token_indices", "target_parameters", "alora_invocation_tokens"), ([], {})),
    **dict.fromkeys(("arrow_config", "kasa_config", "velora_config", "monteclora_config", "megatron_config", "use_bdlora"), ({}, False)),
    "bias": ("none",),
}
WITHOUT_EFFECT = {  # on a trained adapter: how it was started, trained and named
    *("auto_mapping", "peft_version", "task_type", "revision", "inference_mode", "runtime_config", "ensure_weight_tying", "megatron_core"),
    *("loftq_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size", "init_weights", "init_ia3_weights"),
    *("tinit", "tfinal", "beta1", "beta2", "total_step", "projection_prng_key"),
    *("token_dim", "num_transformer_submodules", "num_attention_heads", "num_layers", "encoder_hidden_size", "prefix_projection"),
    *("prompt_tuning_init", "prompt_tuning_init_text", "tokenizer_name_or_path", "tokenizer_kwargs"),
}
CHANGES_THE_BASE = ("pissa", "olora", "corda", "lora_ga", "loftq")  # beginnings of init_lora_weights


def read_settings(folder):
    """The adapter_config.json of a folder, each setting in its form, null ones left out. FileNotFoundError or ValueError, in one line."""
    path = Path(folder) / "adapter_config.json"
    if not path.is_file() and (inside := sorted(Path(folder).glob("*/adapter_config.json"))):
        raise FileNotFoundError(f"there is no {path}, but one in {inside[0].parent}: name that folder")
    if not path.is_file() and (Path(folder) / "config.json").is_file():
        raise FileNotFoundError(f"{folder} holds a whole model and no adapter: load it as a base")
    settings = {name: value for name, value in read_json(path).items() if value is not None}
    forms = {**FORMS, "rank_pattern": SHRUNK} if settings.get("peft_type") == "ADALORA" else FORMS
    for name, (what, fits) in forms.items():
        if name in settings and not fits(settings[name]):
            raise ValueError(f"{path}: {name} is {short(settings[name])}, and has to be {what}")
    costly = sum(len(pattern) for pattern in patterns_of(settings) if plain(pattern) is None)
    if costly > MOST_PATTERN:
        raise ValueError(f"{path} has patterns of {costly:,} characters, more than modules need: name the modules in a list")
    return settings


def patterns_of(settings):
    """All regular expressions in the settings: the keys of two tables, and what is one text in place of a list."""
    tables = [pattern for name in ("rank_pattern", "alpha_pattern") for pattern in settings.get(name, ())]
    texts = [settings.get(name) for name in ("target_modules", "exclude_modules", "feedforward_modules")]
    return tables + [text for text in texts if isinstance(text, str)]


def method_of(settings, config, path):
    """The method that the settings describe on a base. ValueError, of one line, where they do not fit it or are not supported."""
    kind = settings.get("peft_type")
    reader = next((method for method in METHODS if method.reads(settings)), None)
    if reader is None:
        types = sorted({method.peft_type for method in METHODS if method.peft_type})
        capital = ": it is written in capitals" if kind is not None and kind.upper() in types else ""
        raise ValueError(f"{path} holds an adapter of type {short(kind)}{capital}; these are read: {', '.join(types)}")
    _refuse_what_is_not_supported(settings, path)
    try:
        method = reader.from_peft(settings, config)
        if copied := settings.get("modules_to_save"):
            method = WithCopies(method, saved_modules(copied, config))
        method.shapes(config)  # where a rank does not fit, or a module is copied and adapted
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return method


def _refuse_what_is_not_supported(settings, path):
    for name, neutral in NEUTRAL.items():
        if settings.get(name, neutral[0]) not in neutral:
            raise ValueError(f"{path}: the adapter has {name} = {short(settings[name])}, and only {neutral[0]!r} is supported")
    start = settings.get("init_lora_weights")
    if isinstance(start, str) and start.startswith(CHANGES_THE_BASE):
        raise ValueError(
            f"{path}: init_lora_weights {short(start)} changed the base while it trained, and the adapter alone does not say how: "
            "save it with PEFT's path_initial_model_for_weight_conversion, as a plain lora of twice the rank"
        )
    if settings["peft_type"].endswith(("PROMPT_TUNING", "PREFIX_TUNING")) and "num_virtual_tokens" not in settings:
        raise ValueError(f"{path} lacks num_virtual_tokens, the length of the prefix or prompt: fetch it again")
    known = FORMS.keys() | NEUTRAL.keys() | WITHOUT_EFFECT
    unknown = [name for name, value in settings.items() if name not in known and value not in (False, [], {}, "")]
    if unknown:
        names = ", ".join(map(short, unknown[:3])) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
        warnings.warn(f"{path} has settings that are not known here and are passed over: {names}", stacklevel=4)
