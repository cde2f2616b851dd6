"""config.json and Config: which of Hugging Face's models can be run here, read and written.

Llama 1, 2 and 3, and what has its shape (SmolLM2, TinyLlama, Mistral); Qwen2 with biases on q, k and v; Qwen3 with a norm of each query
and key. The rotation is plain or scaled as in Llama 3, in the older spelling (rope_theta, rope_scaling) or the newer (rope_parameters).
A model that needs anything else is refused, by the name of what it needs: it would run, and be wrong.
"""

from dataclasses import asdict, fields
from pathlib import Path

from minilora.counting import whole
from minilora.files.strict_json import read_json, short
from minilora.transformer import Config
from minilora.transformer.config import Llama3Scaling

SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
USUAL = {"rms_norm_eps": 1e-6, "hidden_act": "silu", "tie_word_embeddings": False, "num_key_value_heads": None, "head_dim": None}
MODELS = {  # model_type -> what it is where its config.json does not say
    "llama": {**USUAL, "max_position_embeddings": 2048},
    "mistral": {**USUAL, "max_position_embeddings": 131072, "sliding_window": 4096},
    "qwen2": {**USUAL, "max_position_embeddings": 32768},
    "qwen3": {**USUAL, "max_position_embeddings": 32768, "head_dim": 128},
}


def read_config(folder):
    """The Config in a folder's config.json.

    Raises FileNotFoundError, or ValueError for a file that is no model's, for one that makes no sense, and for what cannot be run.
    """
    path = Path(folder) / "config.json"
    if not path.is_file() and (Path(folder) / "adapter_config.json").is_file():
        raise FileNotFoundError(f"{folder} holds an adapter and no model: load its base, and it as an adapter (--adapter)")
    values = read_json(path)
    kind = values.get("model_type")
    if not isinstance(kind, str) or kind not in MODELS:
        raise ValueError(f"{folder} holds a model with model_type {short(kind)}, and those that can be run are {', '.join(MODELS)}")
    values = {**MODELS[kind], **values}
    complain(path, "lacks", [name for name in SIZES if name not in values])
    sizes = {name: whole(f"{name} in {path}", values[name]) for name in (*SIZES, "max_position_embeddings")}
    for name, usual in (("num_key_value_heads", sizes["num_attention_heads"]), ("head_dim", None)):
        sizes[name] = usual if values[name] is None else whole(f"{name} in {path}", values[name])
    rope = rope_settings(path, values)
    refuse_what_is_missing_here(folder, kind, values, rope)
    return Config(
        **sizes,
        rms_norm_eps=number(path, "rms_norm_eps", values),
        rope_theta=number(path, "rope_theta", rope),
        rope_scaling=llama3_scaling(path, rope) if rope["rope_type"] == "llama3" else None,
        tie_word_embeddings=bool(values["tie_word_embeddings"]),
        attention_bias=kind == "qwen2",
        qk_norm=kind == "qwen3",
    )


def rope_settings(path, values):
    """What is said of the rotation, in one dictionary with the newer names."""
    parts = [values.get(name) or {} for name in ("rope_scaling", "rope_parameters")]
    if not all(isinstance(part, dict) for part in parts):
        raise ValueError(f"{path} has the rope settings {short(parts)}, and they are not names with values")
    rope = {"rope_theta": values.get("rope_theta", 10000.0), **parts[0], **parts[1]}
    return {**rope, "rope_type": rope.get("rope_type", rope.get("type", "default"))}


def refuse_what_is_missing_here(folder, kind, values, rope):
    """ValueError that names all settings of a config.json that ask for something else than this model does."""
    window = values.get("sliding_window") if kind == "mistral" or values.get("use_sliding_window") else None
    layers = values.get("layer_types") or []
    unsupported = {
        "hidden_act": values["hidden_act"] != "silu",
        "attention_bias": values.get("attention_bias") and kind != "qwen2",  # q, k and v, but o as well
        "mlp_bias": values.get("mlp_bias"),
        "quantization_config": values.get("quantization_config"),
        "layer_types": not isinstance(layers, list) or any(each != "full_attention" for each in layers),
        # A window that is not smaller than the context hides nothing.
        "sliding_window": window is not None and not (isinstance(window, int) and window >= values["max_position_embeddings"]),
        "rope_type": rope["rope_type"] not in ("default", "llama3"),
        "partial_rotary_factor": {**values, **rope}.get("partial_rotary_factor", 1) != 1,
    }
    found = [f"{name} {short({**values, **rope}[name])}" for name, is_wrong in unsupported.items() if is_wrong]
    if found:
        raise ValueError(f"{folder} holds a model with {', '.join(found)}, which cannot be run here")


def llama3_scaling(path, rope):
    names = [field.name for field in fields(Llama3Scaling)]
    complain(path, "scales the rotation and lacks", [name for name in names if name not in rope])
    context = whole(f"{names[-1]} in {path}", rope[names[-1]])
    return Llama3Scaling(*(number(path, name, rope) for name in names[:-1]), context)


def number(path, name, values):
    """values[name] as a float. ValueError unless it is a positive number."""
    value = values[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e30:
        raise ValueError(f"{name} in {path} is {short(value)}, and it must be a number above 0")
    return float(value)


def settings(config):
    """The settings of a config.json that describes this Config, in both spellings. ValueError where no model is like that."""
    if config.attention_bias and config.qk_norm:
        raise ValueError("no Hugging Face model has biases on q, k and v and norms of q and k: give it one of the two")
    kind, name = ("qwen2", "Qwen2") if config.attention_bias else ("qwen3", "Qwen3") if config.qk_norm else ("llama", "Llama")
    scaling = {"rope_type": "default"} if config.rope_scaling is None else {"rope_type": "llama3", **asdict(config.rope_scaling)}
    derived = ("rope_theta", "rope_scaling", "attention_bias", "qk_norm")
    return {
        "architectures": [f"{name}ForCausalLM"],
        "model_type": kind,
        "hidden_act": "silu",
        "attention_bias": config.attention_bias,
        "mlp_bias": False,
        **{field.name: getattr(config, field.name) for field in fields(Config) if field.name not in derived},
        "rope_theta": config.rope_theta,
        "rope_scaling": scaling if config.rope_scaling else None,
        "rope_parameters": {"rope_theta": config.rope_theta, **scaling},
        "dtype": "float32",
    }


def complain(where, what, names, advice="was it copied as a whole?"):
    """ValueError that names the first of `names`, if there are any, how many more there are, and what to do."""
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise ValueError(f"{where} {what} {min(names)}{more}: {advice}")
