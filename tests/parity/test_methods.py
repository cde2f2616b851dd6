"""The methods beside LoRA against PEFT: logits, loss and every gradient in the midst of training, through the files of either side."""

import copy
from types import SimpleNamespace

import comparison
import numpy as np
import oracle
import pytest
import torch
from peft import (
    AdaLoraConfig,
    IA3Config,
    LNTuningConfig,
    LoraConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptTuningConfig,
    VeraConfig,
    get_peft_model,
)
from peft.optimizers import create_lorafa_optimizer

from minilora import Adapter, ops
from minilora.files.peft import PREFIX, file_names, turned
from minilora.methods import IA3, AdaLoRA, DoRA, LoRAFA, LoRAXS, Norms, OLoRA, PiSSA, Prefix, PrefixNetwork, Prompt, VeRA
from minilora.methods.prefix_network import PARTS
from minilora.transformer import forward

WHERE = ["q_proj", "v_proj", "down_proj"]
CASES = {
    "dora": (DoRA, LoraConfig(r=3, lora_alpha=7, target_modules=WHERE, use_dora=True)),
    "vera": (VeRA, VeraConfig(r=5, target_modules=WHERE, d_initial=0.3)),
    "adalora": (AdaLoRA, AdaLoraConfig(init_r=3, target_r=2, lora_alpha=7, target_modules=WHERE, total_step=10)),
    "ia3": (IA3, IA3Config(target_modules=["k_proj", "v_proj", "down_proj", "o_proj"], feedforward_modules=["down_proj", "o_proj"])),
    "ia3 as PEFT chooses": (IA3, IA3Config()),
    "prefix": (Prefix, PrefixTuningConfig(num_virtual_tokens=3)),
    "prompt": (Prompt, PromptTuningConfig(num_virtual_tokens=3)),
    "norms": (Norms, LNTuningConfig()),
}
# Warnings of PEFT's about transformers and about itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Unsupported layer type '<class '.*RMSNorm'>':UserWarning"),
]
PARAMETERS = {".lora_magnitude_vector": ".lora_magnitude_vector.weight", "prompt_embeddings": "prompt_encoder.embedding.weight"}


def of_the_text(module, inputs, output):
    """PEFT returns logits for the positions of a prompt as well."""
    output.logits = output.logits[:, -inputs[0].shape[1] :]


def adapted_model(model, settings, seed=2):
    """The model with PEFT's adapter, as in the midst of training, in the model's dtype."""
    settings = copy.deepcopy(settings)  # PEFT changes it
    settings.task_type = "CAUSAL_LM"
    double = oracle.dtype(model) == "float64"
    adapted = get_peft_model(model, settings)
    for name, parameter in adapted.named_parameters():
        if "ranknum" in name:
            parameter.requires_grad = False  # a constant of AdaLoRA's, which PEFT lets train where the base is in float64
    adapted.register_forward_hook(of_the_text)
    rng = np.random.default_rng(seed)
    oracle.fill(oracle.trainable(adapted).values(), lambda shape: rng.normal(0.2, 0.3, shape))
    return adapted.double() if double else adapted


def expected_grads(grads, method, config):
    """The gradients as PEFT names and turns them, as minilora does."""
    found = {}
    for name, key in file_names(method, config).items():
        parameter = key
        for short, full in PARAMETERS.items():
            parameter = parameter.replace(short, full)
        if parameter in grads:
            found[name] = turned(key, grads[parameter])
    assert len(found) == len(grads), "every parameter that PEFT trains has its like"
    return found


@pytest.mark.parametrize(
    ("double", "ops", "tolerance"), [(False, ops.compiled(), 1e-5), (True, ops.reference(), 1e-12)], ids=["float32", "float64"]
)
@pytest.mark.parametrize("case", CASES)
def test_logits_loss_and_every_gradient_agree(case, double, ops, tolerance, tmp_path):
    kind, settings = CASES[case]
    model = oracle.tiny_llama(double=double)
    config, weights = oracle.read_base(model, tmp_path / "base")
    adapted = adapted_model(model, settings)
    method, arrays = oracle.read_adapter(adapted, tmp_path / "adapter", config)
    (tokens,), (targets,) = oracle.text(1)
    expected, grads = oracle.run(adapted, tokens, targets)
    found, ours = comparison.run(config, weights, tokens, targets, method.sites(config, arrays, ops))
    assert type(method) is kind and method.count(config) == sum(parameter.numel() for parameter in oracle.trainable(adapted).values())
    comparison.assert_agree(found, expected, tolerance)
    comparison.assert_agree(ours, expected_grads(grads, method, config), tolerance)


def test_LoRA_FA_is_LoRA_with_A_frozen(tmp_path):
    model = oracle.tiny_llama(double=True)
    config, weights = oracle.read_base(model, tmp_path / "base")
    adapted = adapted_model(model, LoraConfig(r=3, lora_alpha=7, target_modules=WHERE))
    create_lorafa_optimizer(adapted, r=3, lora_alpha=7, lr=1e-3)  # freezes A
    _, arrays = oracle.read_adapter(adapted, tmp_path / "adapter", config)
    method = LoRAFA(3, 7, WHERE)
    (tokens,), (targets,) = oracle.text(1)
    expected, grads = oracle.run(adapted, tokens, targets)
    found, ours = comparison.run(config, weights, tokens, targets, method.sites(config, arrays))
    comparison.assert_agree(found, expected, 1e-12)
    comparison.assert_agree(ours, expected_grads(grads, method, config), 1e-12)


def test_a_prefix_made_by_a_network(tmp_path):
    model = oracle.tiny_llama(double=True)
    config, weights = oracle.read_base(model, tmp_path / "base")
    adapted = adapted_model(model, PrefixTuningConfig(num_virtual_tokens=3, prefix_projection=True, encoder_hidden_size=5))
    parameters = ("embedding.weight", "transform.0.weight", "transform.0.bias", "transform.2.weight", "transform.2.bias")
    names = {name: f"prompt_encoder.{parameter}" for name, parameter in zip(PARTS, parameters, strict=True)}

    def as_ours(values):
        return {name: values[key].T if "transform" in key else values[key] for name, key in names.items()}

    arrays = as_ours({name: parameter.detach().numpy() for name, parameter in oracle.trainable(adapted).items()})
    method = PrefixNetwork(3, 5)
    (tokens,), (targets,) = oracle.text(1)
    expected, grads = oracle.run(adapted, tokens, targets)
    found, ours = comparison.run(config, weights, tokens, targets, method.sites(config, arrays))
    comparison.assert_agree(found, expected, 1e-12)
    comparison.assert_agree(ours, as_ours(grads), 1e-12)
    read, saved = oracle.read_adapter(adapted, tmp_path / "adapter", config)
    comparison.assert_agree(saved, method.exported(config, arrays)[1], 1e-7)  # read in float32
    assert read == Prefix(3)


@pytest.mark.parametrize(("kind", "scheme"), [(PiSSA, "pissa"), (OLoRA, "olora")], ids=["pissa", "olora"])
def test_a_base_kept_as_it_is_behaves_as_the_one_that_PEFT_changes(kind, scheme, tmp_path):
    model = oracle.tiny_llama()
    config, weights = oracle.read_base(model, tmp_path / "base")
    method = kind(3, 7, WHERE)
    arrays = method.init(config, weights, np.random.default_rng(0))
    adapted = get_peft_model(model, LoraConfig(r=3, lora_alpha=7, target_modules=WHERE, init_lora_weights=scheme, task_type="CAUSAL_LM"))
    adapted.peft_config["default"].init_lora_weights = True  # a file that says otherwise is refused: it lacks what became of the base
    _, initial = oracle.read_adapter(adapted, tmp_path / "initial", config)
    for name in method.ranks(config):  # of the factors PEFT may turn a sign, or share out their sizes another way
        ours, theirs = (pair[f"{name}.lora_A"] @ pair[f"{name}.lora_B"] for pair in (arrays, initial))
        comparison.assert_agree({name: ours}, {name: theirs}, 1e-5)

    rng = np.random.default_rng(2)
    oracle.fill(oracle.trainable(adapted).values(), lambda shape: rng.normal(0.1, 0.2, shape))
    _, trained = oracle.read_adapter(adapted, tmp_path / "trained", config)
    (tokens,), (targets,) = oracle.text(1)
    expected, grads = oracle.run(adapted, tokens, targets)
    found, ours = comparison.run(config, weights, tokens, targets, method.sites(config, {**arrays, **trained}))
    comparison.assert_agree(found, expected, 1e-5)
    comparison.assert_agree(ours, expected_grads(grads, method, config), 1e-5)


def test_the_penalty_of_AdaLoRA_and_its_gradient(tmp_path):
    model = oracle.tiny_llama(double=True)
    config, _ = oracle.read_base(model, tmp_path / "base")
    adapted = adapted_model(model, CASES["adalora"][1])
    method, arrays = oracle.read_adapter(adapted, tmp_path / "adapter", config)
    adapted.base_model.model.forward = lambda: SimpleNamespace(loss=torch.zeros((), dtype=torch.float64))  # PEFT adds to it
    penalty = adapted.base_model().loss
    penalty.backward()
    grads = {}
    assert np.isclose(method.penalty(arrays, grads), penalty.item(), rtol=1e-12)
    expected = {name: parameter.grad.numpy().T for name, parameter in oracle.trainable(adapted).items() if not name.endswith("lora_E")}
    comparison.assert_agree({PREFIX + name: grad for name, grad in grads.items()}, expected, 1e-12)


def test_AdaLoRA_gives_the_budget_to_the_directions_that_PEFT_gives_it_to(tmp_path):
    steps = 10
    model = oracle.tiny_llama(double=True)
    config, weights = oracle.read_base(model, tmp_path / "base")
    settings = AdaLoraConfig(init_r=6, target_r=3, lora_alpha=7, target_modules=WHERE, total_step=steps, tfinal=4, deltaT=2)
    adapted = adapted_model(model, settings)
    _, arrays = oracle.read_adapter(adapted, tmp_path / "adapter", config)
    method = AdaLoRA(6, 3, 7, WHERE, warmup=0, final=0.4, interval=2)
    arrays = {**method.init(config, weights, np.random.default_rng(0)), **arrays}
    (tokens,), (targets,) = oracle.text(1)
    alive = []
    for step in range(1, steps + 1):
        oracle.run(adapted, tokens, targets)  # leaves the gradients there
        _, grads = comparison.run(config, weights, tokens, targets, method.sites(config, arrays))
        adapted.base_model.update_and_allocate(step)
        method.after_step(arrays, grads, step, steps)
        theirs = {name: p for name, p in oracle.trainable(adapted).items() if name.endswith("lora_E")}
        ours = {name: array for name, array in arrays.items() if name.endswith("lora_E")}
        assert all(np.allclose(e, theirs[PREFIX + name].detach().numpy().T, rtol=1e-12, atol=0) for name, e in ours.items())
        alive.append(sum(int(np.count_nonzero(e)) for e in ours.values()))
        with torch.no_grad():
            for name, e in ours.items():  # as an optimiser would, those that are zero as well
                e += 0.1
                theirs[PREFIX + name] += 0.1
    assert alive == [36, 23, 36, 18, 36, 18, 18, 18, 18, 18]


SAVED = [
    LoRAFA(3, 7, WHERE),
    DoRA(3, 7, WHERE),
    PiSSA(3, 7, WHERE),
    OLoRA(3, 7, WHERE, rslora=True),
    LoRAXS(3, 7, WHERE),
    VeRA(5, WHERE),
    AdaLoRA(3, 2, 7, WHERE),
    IA3(("k_proj", "v_proj"), ("o_proj", "down_proj")),
    Prefix(3),
    PrefixNetwork(3, 5),
    Prompt(3),
    Norms(),
]


@pytest.mark.parametrize("method", SAVED, ids=lambda method: method.name)
def test_peft_loads_what_minilora_saves(method, tmp_path):
    model = oracle.tiny_llama()
    config, weights = oracle.read_base(model, tmp_path / "base")
    rng = np.random.default_rng(3)
    arrays = method.init(config, weights, rng)
    arrays = {name: array + rng.normal(0, 0.2, array.shape).astype(np.float32) for name, array in arrays.items()}
    Adapter(method, arrays, config, "base").save(tmp_path / "adapter")
    (tokens,), _ = oracle.text(1)
    adapted = PeftModel.from_pretrained(model, tmp_path / "adapter")
    adapted.register_forward_hook(of_the_text)
    with torch.no_grad():
        logits = adapted(torch.from_numpy(tokens)).logits.flatten(0, 1)  # (N, V)
    found, _ = forward(config, weights, tokens, method.sites(config, arrays))
    comparison.assert_agree({"logits": found}, {"logits": logits.numpy()}, 1e-5)
