"""The other side of the comparisons: tiny models in transformers, adapters in PEFT, and what autograd says of them.

Names and orientations are translated by minilora/files alone, so that each comparison goes through the code that reads real checkpoints.
All weights are drawn here: nothing is downloaded.

In float32 both sides round, each in its own order: gradients then agree to a few millionths of an array's largest value, each side being as
far from the float64 gradient as the other. In float64 they agree to about 1e-14, so that even a small wrong term shows.
"""

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from minilora.files.huggingface import load_base
from minilora.files.peft import load_adapter
from minilora.layers import IGNORED

torch.set_num_threads(1)  # the models are tiny: on a busy machine threads spend their time waiting for each other

SIZES = {  # all different; grouped queries, heads that are not d / H wide, and constants that are nobody's default
    "vocab_size": 29,
    "hidden_size": 20,
    "intermediate_size": 34,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "max_position_embeddings": 24,
    "rms_norm_eps": 1e-3,
    "rope_parameters": {"rope_theta": 300.0, "rope_type": "default"},
}
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TRAINING = {  # each is large enough to matter
    "rates": [0.001, 0.002, 0.003, 0.004, 0.005, 0.005, 0.004, 0.003, 0.002, 0.001],
    "decay": 0.1,
    "beta1": 0.8,
    "beta2": 0.95,
    "epsilon": 1e-3,
}


def tiny_llama(tied=False, double=False, seed=0, **changes):
    """A random LlamaForCausalLM: weights of deviation 0.1 to 0.3, a different one for each array, and gains that are not one.

    The numbers are those of float32 whatever the dtype. `changes` are fields of LlamaConfig that differ from SIZES.
    """
    model = LlamaForCausalLM(LlamaConfig(**{**SIZES, "tie_word_embeddings": tied, **changes}))
    rng = np.random.default_rng(seed)
    fill(model.parameters(), lambda shape: rng.normal(len(shape) == 1, rng.uniform(0.1, 0.3), shape))
    return in_double(model) if double else model


def fill(parameters, draw):
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(torch.from_numpy(draw(parameter.shape).astype(np.float32)))


class Angles(torch.nn.Module):
    """cos and sin of the rotary angles, (1, T, c) each, in float64."""

    def __init__(self, config):
        super().__init__()
        exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim  # (c/2,)
        self.frequencies = config.rope_parameters["rope_theta"] ** -exponents  # (c/2,)

    def forward(self, x, position_ids):
        angles = (position_ids[..., None] * self.frequencies).repeat(1, 1, 2)  # (1, T, c)
        return angles.cos(), angles.sin()


def in_double(model):
    """The same model in float64, changed in place.

    transformers computes norms and rotary angles in float32 whatever the model's dtype: PyTorch's own RMSNorm, and the angles above, stand
    in for them.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LlamaRMSNorm):
                norm = torch.nn.RMSNorm(child.weight.shape, child.variance_epsilon)
                norm.weight = child.weight
                setattr(parent, name, norm)
    model.model.rotary_emb = Angles(model.config)
    return model.double()


def peft_lora(model, seed=2, **settings):
    """The model with PEFT's LoRA, as in the midst of training: neither A nor B is zero."""
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
    rng = np.random.default_rng(seed)
    fill(trainable(adapted).values(), lambda shape: rng.normal(0, 0.1, shape))
    return adapted


def trainable(model):
    """Name -> parameter. The adapter's own name, which PEFT's files leave out, is left out."""
    return {name.replace(".default", ""): parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def text(batches, rows=4, length=11, seed=1, vocabulary=SIZES["vocab_size"]):
    """Random tokens and targets, (batches, rows, length) each; some targets are ignored."""
    tokens, targets = np.random.default_rng(seed).integers(0, vocabulary, (2, batches, rows, length))
    targets[:, 0, 2:5] = IGNORED
    return tokens, targets


def loss(model, tokens, targets):
    """-> logits (N, V) and PyTorch's own cross-entropy, as tensors with their graph."""
    logits = model(torch.from_numpy(tokens)).logits.flatten(0, 1)  # (N, V)
    return logits, torch.nn.functional.cross_entropy(logits, torch.from_numpy(targets).flatten(), ignore_index=IGNORED)


def run(model, tokens, targets):
    """-> {logits, loss}, name -> gradient of each trainable parameter, in PyTorch's names and orientation."""
    model.zero_grad()
    logits, value = loss(model, tokens, targets)
    value.backward()
    grads = {name: parameter.grad.numpy().copy() for name, parameter in trainable(model).items()}
    return {"logits": logits.detach().numpy(), "loss": value.item()}, grads


def train(model, tokens, targets, rates, decay, limit, beta1, beta2, epsilon):
    """A step of torch.optim.AdamW for each of the rates and batches of tokens and targets (steps, rows, T) -> the losses before each step.

    The decay is for matrices only.
    """
    parameters = trainable(model).values()
    groups = [{"params": [p for p in parameters if (p.ndim > 1) == matrix], "weight_decay": decay * matrix} for matrix in (True, False)]
    optimizer = torch.optim.AdamW(groups, betas=(beta1, beta2), eps=epsilon)
    losses = []
    for rate, rows, wanted in zip(rates, tokens, targets, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        _, value = loss(model, rows, wanted)
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, limit)
        optimizer.step()
        losses.append(value.item())
    return losses


def read_base(model, folder):
    """Save with transformers, read with minilora -> config, weights; in float64 if the model is."""
    model.save_pretrained(folder)
    config, weights = load_base(folder)
    return config, {name: array.astype(dtype(model)) for name, array in weights.items()}


def read_adapter(adapted, folder, config):
    """Save with PEFT, read with minilora -> method, arrays; in float64 if the model is."""
    adapted.save_pretrained(folder)
    method, arrays = load_adapter(folder, config)
    return method, {name: array.astype(dtype(adapted)) for name, array in arrays.items()}


def dtype(model):
    return str(next(model.parameters()).dtype).removeprefix("torch.")
