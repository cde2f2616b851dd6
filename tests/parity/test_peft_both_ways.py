"""What PEFT writes is read here, and what is written here is read by PEFT, with the same logits: the forms that an adapter may have.

The methods one by one, with their gradients, are in test_lora.py and test_methods.py.
"""

import dataclasses
import itertools
import json

import comparison
import ml_dtypes
import numpy as np
import oracle
import peft
import pytest
import torch
from peft import AdaLoraConfig, IA3Config, LoraConfig, PeftModel, PrefixTuningConfig, VeraConfig, get_peft_model
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils.other import get_pattern_key
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from minilora import Base
from minilora.files import peft_settings
from minilora.files.atomic import save_arrays
from minilora.files.huggingface import save_base
from minilora.files.peft import load_adapter, save_adapter
from minilora.files.safetensors import load_arrays
from minilora.methods import IA3, AdaLoRA, DoRA, LoRA, PiSSA, VeRA
from minilora.methods.patterns import matches_end
from minilora.methods.targets import from_peft_targets, modules, resolve
from minilora.methods.with_copies import WithCopies
from minilora.transformer import Config, forward

pytestmark = [
    pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.* changes the base weights of the model:UserWarning"),  # while PEFT converts an adapter
]
(TOKENS,), _ = oracle.text(1)
LORA = {"r": 3, "lora_alpha": 7, "target_modules": ["q_proj", "v_proj", "down_proj"]}
FROM_PEFT = {
    "one layer": LoraConfig(**LORA, layers_to_transform=0),
    "a list of layers, and what they are called": LoraConfig(**LORA, layers_to_transform=[1], layers_pattern="layers"),
    "a pattern": LoraConfig(r=3, lora_alpha=7, target_modules=r".*\.(0\.self_attn\.[qk]|1\.mlp\.(up|down))_proj"),
    "a module in full": LoraConfig(r=3, target_modules=["model.layers.1.self_attn.o_proj", "gate_proj"], layers_to_transform=[0]),
    "all but some": LoraConfig(r=3, target_modules="all-linear", exclude_modules=["v_proj", "model.layers.0.mlp.up_proj"]),
    "all but a pattern": LoraConfig(r=3, target_modules="all-linear", exclude_modules=r".*layers\.0.*"),
    "embedding and head whole": LoraConfig(**LORA, modules_to_save=["embed_tokens", "lm_head"]),
    "the norms whole": LoraConfig(**LORA, modules_to_save=["norm"]),
    "DoRA, a projection whole": LoraConfig(**LORA, use_dora=True, modules_to_save=["o_proj"]),
    "vera, the head whole": VeraConfig(r=5, target_modules=["q_proj", "v_proj", "down_proj"], modules_to_save=["lm_head"]),
    "ia3, of a layer": IA3Config(target_modules=["k_proj", "layers.1.mlp.down_proj"], feedforward_modules=["layers.1.mlp.down_proj"]),
    "ia3, by patterns": IA3Config(target_modules=r".*\.1\..*(k|down)_proj", feedforward_modules=r".*\.1\..*down_proj"),
    "adalora, of a layer": AdaLoraConfig(init_r=3, target_r=2, target_modules=["q_proj"], layers_to_transform=[1], total_step=10),
    "a prefix from a network": PrefixTuningConfig(num_virtual_tokens=3, prefix_projection=True, encoder_hidden_size=5),
}


def midway(model, settings, seed=2, name="default"):
    """The model with PEFT's adapter, a little away from where it starts."""
    settings.task_type = "CAUSAL_LM"
    adapted = get_peft_model(model, settings, adapter_name=name)
    disturb(adapted, seed)
    return adapted


def disturb(adapted, seed=2):
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in oracle.trainable(adapted).values():
            parameter += torch.from_numpy(rng.normal(0, 0.1, parameter.shape).astype(np.float32))


def peft_logits(adapted):
    with torch.no_grad():
        return {"logits": adapted(torch.from_numpy(TOKENS)).logits[:, -TOKENS.shape[1] :].flatten(0, 1).numpy()}  # (N, V)


def our_logits(config, weights, method, arrays):
    return {"logits": forward(config, weights, TOKENS, method.sites(config, arrays))[0]}  # (N, V)


def drawn(method, config, weights):
    """The method's arrays as in the midst of training."""
    rng = np.random.default_rng(3)
    arrays = method.init(config, weights, rng)
    return {name: array + rng.normal(0, 0.2, array.shape).astype(np.float32) for name, array in arrays.items()}


@pytest.fixture
def base(tmp_path):
    """-> the model in transformers, and the same here: config, weights."""
    model = oracle.tiny_llama()
    return model, *oracle.read_base(model, tmp_path / "base")


@pytest.mark.parametrize("case", FROM_PEFT)
def test_what_peft_writes_has_the_same_logits_here(case, base, tmp_path):
    model, config, weights = base
    adapted = midway(model, FROM_PEFT[case])
    method, arrays = oracle.read_adapter(adapted, tmp_path / "adapter", config)
    comparison.assert_agree(our_logits(config, weights, method, arrays), peft_logits(adapted), 1e-5)
    if case != "a prefix from a network":  # of which the file holds the prefix alone
        assert method.count(config) == sum(parameter.numel() for parameter in oracle.trainable(adapted).values())


@pytest.mark.parametrize("start", ["pissa", "olora"])
def test_a_changed_base_is_refused_and_converted_by_peft_it_has_the_same_logits(start, base, tmp_path):
    model, config, weights = base
    adapted = get_peft_model(model, LoraConfig(**LORA, init_lora_weights=start, task_type="CAUSAL_LM"))
    adapted.peft_config["default"].init_lora_weights = True
    adapted.save_pretrained(tmp_path / "start")
    adapted.peft_config["default"].init_lora_weights = start
    disturb(adapted)
    expected = peft_logits(adapted)
    adapted.save_pretrained(tmp_path / "raw")
    with pytest.raises(ValueError, match=f"init_lora_weights '{start}' changed the base while it trained"):
        load_adapter(tmp_path / "raw", config)
    adapted.save_pretrained(tmp_path / "converted", path_initial_model_for_weight_conversion=tmp_path / "start")
    comparison.assert_agree(our_logits(config, weights, *load_adapter(tmp_path / "converted", config)), expected, 1e-5)


@pytest.mark.filterwarnings("ignore:The following rank_pattern keys did not match:RuntimeWarning")  # which they do
def test_an_adalora_that_peft_has_shrunk_has_the_same_logits_here_and_back_there(base, tmp_path):
    model, config, weights = base
    adapted = midway(
        model, AdaLoraConfig(init_r=4, target_r=3, lora_alpha=7, target_modules=["q_proj", "down_proj"], total_step=4, tfinal=1, deltaT=1)
    )
    tokens, targets = oracle.text(4)
    for step in range(1, 4):
        oracle.run(adapted, tokens[step], targets[step])
        adapted.base_model.update_and_allocate(step)
    method, arrays = oracle.read_adapter(adapted, tmp_path / "adapter", config)
    ranks = [len(arrays[f"{name}.lora_B"]) for name in method.modules(config)]
    assert sum(ranks) == 12 and len(set(ranks)) > 1 and isinstance(method, AdaLoRA)
    comparison.assert_agree(our_logits(config, weights, method, arrays), peft_logits(adapted), 1e-5)
    save_adapter(tmp_path / "back", config, method, arrays, "base")
    again = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tmp_path / "base"), tmp_path / "back")
    comparison.assert_agree(peft_logits(again), our_logits(config, weights, method, arrays), 1e-5)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_sixteen_bits_are_the_same_numbers_on_either_side(dtype, base, tmp_path):
    _, config, weights = base
    method = LoRA(3, 7, ("q_proj", "down_proj"))
    save_adapter(tmp_path / "adapter", config, method, drawn(method, config, weights), "base", dtype)
    found = our_logits(config, weights, *load_adapter(tmp_path / "adapter", config))
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tmp_path / "base"), tmp_path / "adapter")
    comparison.assert_agree(found, peft_logits(adapted), 1e-5)


def test_an_adapter_with_a_name_is_found_in_its_folder(base, tmp_path):
    model, config, weights = base
    adapted = midway(model, LoraConfig(**LORA), name="lora_q_proj")  # a name that is a part of others
    adapted.save_pretrained(tmp_path / "adapter")
    method, arrays = load_adapter(tmp_path / "adapter" / "lora_q_proj", config)
    comparison.assert_agree(our_logits(config, weights, method, arrays), peft_logits(adapted), 1e-5)


def test_names_that_still_hold_the_adapter_s_load_as_in_peft(base, tmp_path):
    model, config, _ = base
    _, arrays = oracle.read_adapter(midway(model, LoraConfig(**LORA)), tmp_path, config)
    stored, _ = load_arrays(tmp_path / "adapter_model.safetensors")
    save_arrays(tmp_path / "adapter_model.safetensors", {name.replace(".weight", ".default.weight"): stored[name] for name in stored})
    _, again = load_adapter(tmp_path, config)
    assert all(np.array_equal(again[name], arrays[name]) for name in arrays)


TO_PEFT = {
    "modules in full": LoRA(3, 7, ("layers.1.self_attn.q_proj", "layers.0.mlp.down_proj")),
    "embedding and head whole": WithCopies(LoRA(3, 7, "q_proj"), ("model.embed_tokens", "lm_head")),
    "one norm whole": WithCopies(DoRA(3, 7, "q_proj"), ("model.layers.1.input_layernorm",)),
    "vera, the head whole": WithCopies(VeRA(5, "q_proj"), ("lm_head",)),
    "ia3 of a layer": IA3(("layers.1.self_attn.k_proj",), ("layers.0.mlp.down_proj",)),
    "pissa with patterns": PiSSA(2, 7, "q_proj", rank_pattern={"layers.1.*": 3}, alpha_pattern={"layers.0.*": 5.0}),
}


@pytest.mark.parametrize("case", TO_PEFT)
def test_peft_reads_what_is_written_here(case, base, tmp_path):
    model, config, weights = base
    method = TO_PEFT[case]
    arrays = drawn(method, config, weights)
    save_adapter(tmp_path / "adapter", config, method, arrays, "base")
    with safe_open(tmp_path / "adapter" / "adapter_model.safetensors", "pt") as file:
        assert file.metadata()["format"] == "pt"
    adapted = PeftModel.from_pretrained(model, tmp_path / "adapter")
    assert adapted.load_adapter(tmp_path / "adapter", "again").missing_keys == [], "the same under a second name"
    adapted.set_adapter("default")
    comparison.assert_agree(peft_logits(adapted), our_logits(config, weights, method, arrays), 1e-5)


def test_transformers_reads_an_adapter_too(base, tmp_path):
    model, config, weights = base
    method = LoRA(3, 7, ("q_proj", "down_proj"))
    arrays = drawn(method, config, weights)
    save_adapter(tmp_path / "adapter", config, method, arrays, str(tmp_path / "base"))
    model.load_adapter(str(tmp_path / "adapter"))
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "adapter")  # the base that it names, and the adapter on it
    for each in (model, found):
        comparison.assert_agree(peft_logits(each), our_logits(config, weights, method, arrays), 1e-5)


@pytest.mark.parametrize("method", [LoRA(3, 7, "q_proj"), TO_PEFT["embedding and head whole"], AdaLoRA(3, 2, 7, "q_proj")])
def test_transformers_reads_a_merged_model(method, base, tmp_path):
    _, config, weights = base
    arrays = drawn(method, config, weights)
    merged = Base("merged", config, method.merge(config, weights, arrays))
    save_base(tmp_path / "merged", config, merged.weights)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    comparison.assert_agree(peft_logits(model), our_logits(config, weights, method, arrays), 1e-5)


def test_the_same_modules_are_adapted_as_in_peft():
    config = Config(13, 12, 10, 12, 4, 2, 6)  # with layers 1, 10 and 11
    names = list(modules(config))
    targets = [["q_proj"], ["self_attn.q_proj", "lm_head"], ["model.layers.1.mlp.up_proj"], ["1.mlp.up_proj", "v_proj"]]
    targets += [r".*q_proj", r"model\.layers\.\d+\.self_attn\.(q|v)_proj", r"^.*\.1\d?\..*_proj$", r"(?:lm_head|.*[0-4].*(?:up|down)_proj)"]
    layers, containers = [None, [], 0, 1, [0, 10], [11]], [None, [], "layers", ["blocks", "layers"], "blocks"]
    excluded, saved = [None, ["lm_head"], ["layers.10.mlp.up_proj"], r".*\.0\..*"], [None, ["lm_head"], ["up_proj"]]
    adapted = 0
    for wanted, layer, container, left_out, whole in itertools.product(targets, layers, containers, excluded, saved):
        if isinstance(wanted, str) and (layer, container) != (None, None) or container and layer in (None, []):
            continue  # PEFT refuses them, and so does files/peft.py
        settings = {"target_modules": wanted, "layers_to_transform": layer, "layers_pattern": container}
        settings |= {"exclude_modules": left_out, "modules_to_save": whole}
        theirs = LoraConfig(**settings)
        expected = {name for name in names if check_target_module_exists(theirs, name) and not is_excluded(theirs, name)}
        try:
            found = resolve(from_peft_targets(settings, config), config).keys()
        except ValueError:
            found = set()
        assert found == expected, settings
        adapted += bool(found)
    assert adapted > 500


def is_excluded(settings, name):
    return type(check_target_module_exists(settings, name)).__name__ == "_ExcludedModule"


def test_patterns_of_rank_and_alpha_match_as_in_peft():
    names = list(modules(Config(13, 12, 10, 12, 4, 2, 6)))
    patterns = [
        "q_proj",
        "layers.1",
        "layers.1.*",
        r"model.layers.1.mlp.up_proj",
        r"1\.self_attn\.(q|v)_proj",
        "proj",
        ".*proj",
        "q_proj|lm_head",
    ]
    for pattern, name in itertools.product([*patterns, "^model.*", "up_proj$", r"\d+.mlp.\w+"], names):
        assert matches_end(pattern, name) == (get_pattern_key([pattern], name) == pattern), (pattern, name)


def test_every_setting_of_peft_is_known():
    known = peft_settings.FORMS.keys() | peft_settings.NEUTRAL.keys() | peft_settings.WITHOUT_EFFECT
    kinds = (LoraConfig, AdaLoraConfig, VeraConfig, IA3Config, PrefixTuningConfig, peft.PromptTuningConfig, peft.LNTuningConfig)
    fields = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    assert known == fields, "a setting that is new there, or one that is gone"


def test_a_setting_that_peft_does_not_have_is_not_written(base, tmp_path):
    _, config, weights = base
    for method in (*TO_PEFT.values(), AdaLoRA(3, 2, 7, "q_proj")):
        save_adapter(tmp_path, config, method, drawn(method, config, weights), "base")
        settings = json.loads((tmp_path / "adapter_config.json").read_text())
        fields = {field.name for field in dataclasses.fields(peft.PEFT_TYPE_TO_CONFIG_MAPPING[settings["peft_type"]])}
        assert settings.keys() <= fields
