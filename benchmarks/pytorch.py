"""The cases of minilora/benchmark.py in PyTorch, transformers and PEFT: the same model, batch, precision and number of threads."""

from functools import partial

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from minilora.benchmark import LORA, PROMPT, RANK_16

THREADS = 2


def settings(method=LORA):
    """PEFT's settings for a LoRA on all linear layers."""
    return LoraConfig(r=method.rank, lora_alpha=method.alpha, target_modules="all-linear")


def model_of(size, method):
    """A Llama of this size; with a LoRA as `method`, PEFT's model around it."""
    torch.manual_seed(0)
    torch.set_num_threads(THREADS)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size.vocabulary,
            hidden_size=size.hidden,
            intermediate_size=size.intermediate,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            num_key_value_heads=size.kv_heads or size.heads,
            max_position_embeddings=size.length,
            tie_word_embeddings=True,
            eos_token_id=None,
        )
    )
    return get_peft_model(model, settings(method)) if method else model


def training_step(size, method=LORA, compiled=False):
    model = model_of(size, method).train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0)
    tokens = torch.randint(0, size.vocabulary, (size.batch, size.length))  # (batch, length)
    forward = torch.compile(model) if compiled else model

    def run():
        loss = forward(input_ids=tokens, labels=tokens, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return float(loss.detach())

    return run


def decoding(size, batch=1):
    model = model_of(size, None).eval()
    prompt = torch.randint(0, size.vocabulary, (batch, PROMPT))  # (batch, PROMPT)
    return lambda: model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=size.length - PROMPT, do_sample=True)


def mixed_batch(size, adapters=16):
    """A forward pass over 32 rows that use so many different adapters."""
    model = model_of(size, LORA).eval()
    for i in range(1, adapters):
        model.add_adapter(str(i), settings())
    tokens = torch.randint(0, size.vocabulary, (32, size.length))  # (32, length)
    names = ["default" if i % adapters == 0 else str(i % adapters) for i in range(32)]

    @torch.no_grad()
    def run():
        return model(input_ids=tokens, adapter_names=names, use_cache=False)

    return run


def swapping(size):
    """Two adapters on one base, activated in turn."""
    model = model_of(size, LORA).eval()
    model.add_adapter("other", settings())

    def run():
        model.set_adapter("other")
        model.set_adapter("default")

    return run


CASES = {
    "lora": training_step,
    "lora, compiled": partial(training_step, compiled=True),
    "lora, rank 16": partial(training_step, method=RANK_16),
    "full": partial(training_step, method=None),
    "generate, batch 1": decoding,
    "generate, batch 16": partial(decoding, batch=16),
    "batch of 32, 1 adapter": partial(mixed_batch, adapters=1),
    "batch of 32, 16 adapters": mixed_batch,
    "two swaps": swapping,
}
