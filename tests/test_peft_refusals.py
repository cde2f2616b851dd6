"""What of an adapter's folder does not fit is refused in one line: the tensor, what was expected, what came, and the likely cause."""

import numpy as np
import pytest
from adapter_files import CONFIG, DOWN, Q, change_settings, change_tensors, put, written

from minilora.files.atomic import save_arrays
from minilora.files.peft import PREFIX, load_adapter
from minilora.methods import Norms, Prefix, Prompt
from minilora.methods.check import tiny_model


def swap(old, new):
    return lambda tensors: {name.replace(old, new): array for name, array in tensors.items()}


def drop(name):
    return lambda tensors: {other: array for other, array in tensors.items() if not other.startswith(name)}


NANS = np.where(np.arange(24).reshape(2, 12) == 5, np.nan, 1).astype(np.float32)
A, B, DOWN_A = f"{Q}.lora_A.weight", f"{Q}.lora_B.weight", f"{DOWN}.lora_A.weight"
FIRST, Q3 = f"{PREFIX}model.layers.0.mlp.down_proj.lora_A.weight", Q.replace("layers.0", "layers.3")
TENSORS = {  # what is done to the tensors: the end of the message
    "missing": (drop(B), f"lacks the tensor {B} (7 of the 8 that are expected are there): the file was not saved as a whole, or "),
    "missing, all of a module": (drop(DOWN), f"lacks the tensor {DOWN_A} and 1 more (6 of the 8 that are expected are there): the file "),
    "none at all": (lambda _: {"x": np.ones(1)}, f"lacks the tensor {FIRST} and 7 more (0 of the 8 that are expected are there): "),
    "unexpected": (
        put(f"{PREFIX}model.layers.1.self_attn.v_proj.lora_A.weight", NANS),
        f"has the unexpected tensor {PREFIX}model.layers.1.self_attn.v_proj.lora_A.weight (8 of the 8 that are expected are there): "
        "adapter_config.json says nothing of 'model.layers.1.self_attn.v_proj.lora_A.weight': it is not the one the adapter was saved with",
    ),
    "a name that would break the line": (put("a\nb", NANS), r"has the unexpected tensor 'a\nb' (8 of the 8 that are expected are there): "),
    "prefix missing": (
        swap(PREFIX, ""),
        f"lacks the tensor {FIRST} and 7 more (0 of the 8 that are expected are there): its names begin with 'model.' and PEFT's with "
        "'base_model.model.model.': save the adapter with PEFT, or rename its tensors",
    ),
    "prefix twice": (swap(PREFIX, PREFIX + "model."), "its names begin with 'base_model.model.model.model.' and PEFT's with "),
    "prefix of another library": (swap(PREFIX + "model.", "diffusion_model."), "its names begin with 'diffusion_model.' and PEFT's with "),
    "a base with fewer layers": (
        put(f"{Q3}.lora_A.weight", np.ones((2, 12), np.float32)),
        f"has the unexpected tensor {Q3}.lora_A.weight (8 of the 8 that are expected are there): it goes up to layer 3 and this base has "
        "the layers 0 to 1: load the base that the adapter was made for",
    ),
    "a base with more layers": (
        drop(f"{PREFIX}model.layers.1"),
        "(4 of the 8 that are expected are there): it ends with layer 0 and this base goes up to layer 1: load the base that ",
    ),
    "another rank": (
        put(A, np.ones((3, 12), np.float32)),
        f"{A} is (3, 12) and (2, 12) is expected: adapter_config.json gives it rank 2 and the file has rank 3: the two do not ",
    ),
    "another rank of B": (
        put(B, np.ones((24, 1), np.float32)),
        f"{B} is (24, 1) and (24, 2) is expected: adapter_config.json gives it rank",
    ),
    "another width": (
        put(A, np.ones((2, 16), np.float32)),
        f"{A} is (2, 16) and (2, 12) is expected: the base has the size 12 where it was made for 16: load the base that it was made for",
    ),
    "another rank and width": (put(A, np.ones((3, 16), np.float32)), f"{A} is (3, 16) and (2, 12) is expected: load the base that it was "),
    "transposed": (put(A, np.ones((12, 2), np.float32)), f"{A} is (12, 2) and (2, 12) is expected: it is transposed"),
    "empty": (
        put(A, np.ones(0, np.float32)),
        f"{A} is (0,) and (2, 12) is expected: it is empty, as DeepSpeed's ZeRO-3 leaves what it has not gathered: gather the weights and ",
    ),
    "one number": (put(A, np.ones(1, np.float32)), f"{A} is (1,) and (2, 12) is expected: load the base that it was made for, with the "),
    "not finite": (put(A, NANS), f"{A} holds 1 numbers that are not finite, of 24: the training diverged, or the file is broken"),
    "infinite": (
        put(A, 0 * NANS + np.inf),
        f"{A} holds 24 numbers that are not finite, of 24: the training diverged, or the file is broken",
    ),
    "too large for float32": (
        put(A, np.full((2, 12), 1e300)),
        f"{A} holds float64 numbers that float32 cannot: the training diverged, or ",
    ),
    "quantised": (put(A, np.ones((2, 12), np.int8)), f"{A} holds int8, and floats are expected: a quantised adapter is not read"),
    "a magnitude": (
        put(f"{Q}.lora_magnitude_vector", NANS[0]),
        "magnitudes belong to DoRA: use_dora in adapter_config.json is not what the ",
    ),
    "a bias of B": (put(f"{Q}.lora_B.bias", NANS[0]), "biases of B are not supported: train with lora_bias = false"),
    "a whole embedding": (
        put(f"{PREFIX}model.embed_tokens.weight", NANS),
        "the adapter brings along a whole module that modules_to_save does",
    ),
    "two adapters": (put(f"{Q}.lora_A.default.weight", NANS), "has tensors both with and without the adapter's name 'default': two "),
}


@pytest.mark.parametrize("case", TENSORS)
def test_tensors_that_do_not_fit_are_refused_with_the_likely_cause(case, tmp_path):
    change, message = TENSORS[case]
    written(tmp_path)
    change_tensors(tmp_path, change)
    with pytest.raises(ValueError) as error:
        load_adapter(tmp_path, CONFIG)
    text = str(error.value).removeprefix(str(tmp_path / "adapter_model.safetensors"))
    assert message in text and "\n" not in text and len(text) < 500, text
    assert message[0].islower() or text.startswith((": ", " ")), text


def test_no_tensor_at_all(tmp_path):
    written(tmp_path)
    save_arrays(tmp_path / "adapter_model.safetensors", {})
    with pytest.raises(ValueError, match="the file holds no tensor at all, as if it had been saved before the weights were gathered"):
        load_adapter(tmp_path, CONFIG)


SETTINGS = {  # settings: the end of the message
    "no type": ({"peft_type": None}, "holds an adapter of type None; these are read: ADALORA, IA3, LN_TUNING, LORA, PREFIX_TUNING, "),
    "an unknown type": ({"peft_type": "LOHA"}, "holds an adapter of type 'LOHA'; these are read: ADALORA, IA3, "),
    "a type in lower case": ({"peft_type": "lora"}, "holds an adapter of type 'lora': it is written in capitals; these are read: "),
    "a type that is none": ({"peft_type": 5}, "peft_type is 5, and has to be a text"),
    "a wrong target": (
        {"target_modules": ["c_attn"]},
        "target_modules names 'c_attn', which matches no module of this base; the closest is ",
    ),
    "a partly wrong list": (
        {"target_modules": ["q_proj", "down_proj", "v_porj"]},
        "target_modules names 'v_porj', which matches no module of this base; the closest is 'v_proj' (there are: down_proj, embed_",
    ),
    "a group, which PEFT does not know": ({"target_modules": ["mlp"]}, "target_modules names 'mlp', which matches no module of this base"),
    "a string is a pattern": (
        {"target_modules": "q_proj"},
        "target_modules 'q_proj' match no module of this base that is to be adapted: a ",
    ),
    "a pattern that is none": ({"target_modules": "(q_proj"}, "the pattern '(q_proj' is not understood at '('"),
    "an empty list": ({"target_modules": []}, "target_modules [] match no module of this base that is to be adapted"),
    "targets that are none": ({"target_modules": 3}, "target_modules is 3, and has to be a text or a list of texts"),
    "everything excluded": ({"exclude_modules": ["q_proj", "down_proj"]}, "match no module of this base that is to be adapted"),
    "no such layer": ({"layers_to_transform": [7]}, "match no module of this base that is to be adapted"),
    "no such container": ({"layers_to_transform": 0, "layers_pattern": "h"}, "match no module of this base that is to be adapted"),
    "layers of a pattern": ({"layers_to_transform": 0, "target_modules": ".*q_proj"}, "layers_to_transform needs a list of target_modules"),
    "a rank that is no number": ({"r": "8"}, "r is '8', and has to be a whole number of at least 1"),
    "a rank of none": ({"r": 0}, "r is 0, and has to be a whole number of at least 1"),
    "a rank too high": ({"r": 17}, "rank 17 is outside 1..12 for model.layers.0.self_attn.q_proj"),
    "an enormous rank": ({"r": 10**30}, "r is 1000000000000000000000000000000, and has to be a whole number of at least 1"),
    "another rank": ({"r": 3}, "is (2, 10) and (3, 10) is expected: adapter_config.json gives it rank 3 and the file has rank 2: the two "),
    "an alpha that is none": ({"lora_alpha": [1]}, "lora_alpha is [1], and has to be a number"),
    "a pattern of ranks": ({"rank_pattern": {"q_proj": 1.5}}, "rank_pattern is {'q_proj': 1.5}, and has to be a table of whole numbers"),
    "too many patterns": (
        {"alpha_pattern": {f"(.*)*{i:0700}": 1.0 for i in range(9)}},
        "has patterns of 6,345 characters, more than modules",
    ),
    "a bias": ({"bias": "all"}, "the adapter has bias = 'all', and only 'none' is supported"),
    "a layout": ({"fan_in_fan_out": True}, "the adapter has fan_in_fan_out = True, and only False is supported"),
    "tokens": ({"trainable_token_indices": [1, 2]}, "the adapter has trainable_token_indices = [1, 2], and only [] is supported"),
    "DoRA without magnitudes": (
        {"use_dora": True},
        "magnitudes belong to DoRA: use_dora in adapter_config.json is not what the adapter was ",
    ),
    "a base that was changed": (
        {"init_lora_weights": "pissa_niter_4"},
        "init_lora_weights 'pissa_niter_4' changed the base while it trained",
    ),
    "modules that there are not": ({"modules_to_save": ["score"]}, "modules_to_save names 'score', which matches no module of this base"),
    "modules that are not there": ({"modules_to_save": ["lm_head"]}, f"lacks the tensor {PREFIX}lm_head.weight (8 of the 9 that are "),
    "a prompt without length": ({"peft_type": "PROMPT_TUNING"}, "lacks num_virtual_tokens, the length of the prefix or prompt"),
    "another prompt": ({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 2}, "lacks the tensor prompt_embeddings (0 of the 1 that are "),
    "vera without its pair": (
        {"peft_type": "VERA", "save_projection": False},
        "the adapter has save_projection = False, and only True is ",
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_cannot_be_used_are_refused(case, tmp_path):
    changes, message = SETTINGS[case]
    written(tmp_path)
    change_settings(tmp_path, changes)
    with pytest.raises(ValueError) as error:
        load_adapter(tmp_path, CONFIG)
    text = str(error.value)
    assert message in text and "\n" not in text and text.startswith(str(tmp_path)) and len(text) < len(str(tmp_path)) + 500, text


@pytest.mark.parametrize(
    ("method", "array", "message"),
    [
        (
            Prompt(3),
            np.ones((2, 12)),
            "prompt_embeddings is (2, 12) and (3, 12) is expected: adapter_config.json says num_virtual_tokens = 3",
        ),
        (
            Prompt(3),
            np.ones((3, 16)),
            "prompt_embeddings is (3, 16) and (3, 12) is expected: the base has the size 12 where it was made for",
        ),
        (
            Prefix(3),
            np.ones((3, 24)),
            "prompt_embeddings is (3, 24) and (3, 48) is expected: the base has the size 48 where it was made for",
        ),
    ],
)
def test_a_prompt_or_prefix_of_another_size_is_refused(method, array, message, tmp_path):
    written(tmp_path, method)
    change_tensors(tmp_path, put("prompt_embeddings", array.astype(np.float32)))
    with pytest.raises(ValueError) as error:
        load_adapter(tmp_path, CONFIG)
    assert message in str(error.value)


@pytest.mark.parametrize("targets", [["input_layernorm"], r".*input_layernorm"])
def test_some_of_the_norms_are_refused_and_all_are_read(targets, tmp_path):
    written(tmp_path, Norms())
    load_adapter(tmp_path, CONFIG)
    change_settings(tmp_path, {"target_modules": targets})
    with pytest.raises(ValueError, match="leaves out model.layers.0.post_attention_layernorm, and only all norms together are supported"):
        load_adapter(tmp_path, CONFIG)


def test_a_head_that_is_the_embedding_is_neither_adapted_nor_copied(tmp_path):
    tied, _, _, _ = tiny_model(tied=True)
    written(tmp_path)
    for changes, message in (
        ({"target_modules": ["lm_head"]}, "this model ties its embedding to its head, and adapting one of the two would untie them"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save names 'lm_head', which matches no module of this base"),
        ({"modules_to_save": ["embed_tokens"]}, "a copy of model.embed_tokens would untie it from the head of this model"),
    ):
        change_settings(tmp_path, {"target_modules": ["q_proj", "down_proj"], **changes})
        with pytest.raises(ValueError, match=message):
            load_adapter(tmp_path, tied)
