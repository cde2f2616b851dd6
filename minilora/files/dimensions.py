"""The dimensions in a Hugging Face config.json, to count with.

More models can be counted than can be run (files/huggingface.py): what has no parameters, as a scaled rotation or a sliding window, does
not matter here. Left out: models with arrays that a Config does not have, as biases on every layer. They are refused.
"""

from pathlib import Path

from minilora.counting import whole
from minilora.files.architectures import MODELS, SIZES, complain
from minilora.files.strict_json import read_json
from minilora.transformer import Config

MOST_LAYERS = 10_000  # every array is named one by one


def read_dimensions(path):
    """The Config of a config.json, or of the one in a folder.

    Raises FileNotFoundError, or ValueError for a file that is no such config, for sizes that are not whole numbers of at least 1 or do not
    fit together, and for a model whose arrays cannot be counted.
    """
    path = Path(path)
    path = path / "config.json" if path.is_dir() else path
    values = read_json(path)
    kind = values.get("model_type")
    if not isinstance(kind, str) or kind not in MODELS:
        raise ValueError(f"{path} describes a model of type {kind!r}; those that can be counted are {', '.join(MODELS)}")
    values = {**MODELS[kind], **values}
    for name in ("attention_bias", "mlp_bias"):
        if values.get(name) and kind != "qwen2":
            raise ValueError(f"{path} sets {name}, and with it biases that are not counted here")
    complain(path, "lacks", [name for name in SIZES if name not in values])
    sizes = {name: whole(f"{name} in {path}", values[name]) for name in SIZES}
    for name, usual in (("num_key_value_heads", sizes["num_attention_heads"]), ("head_dim", None)):
        value = values.get(name) or usual
        sizes[name] = value and whole(f"{name} in {path}", value)
    if sizes["num_hidden_layers"] > MOST_LAYERS:
        raise ValueError(f"num_hidden_layers in {path} is {sizes['num_hidden_layers']:,}, and no more than {MOST_LAYERS:,} are counted")
    tied = bool(values["tie_word_embeddings"])
    return Config(**sizes, tie_word_embeddings=tied, attention_bias=kind == "qwen2", qk_norm=kind == "qwen3")
