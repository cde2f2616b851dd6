"""A table of GiB, worked out elsewhere and printed to two or three digits, against the arithmetic here."""

from decimal import Decimal

import pytest

from minilora import counting
from minilora.counting import memory
from minilora.methods import LoRA
from minilora.transformer import Config
from minilora.transformer.known import KNOWN

MODELS = {**KNOWN, "Llama-3-70B": Config(128256, 8192, 28672, 80, 64, 8, 128)}

# GiB of: bf16, NF4, NF4 with double quantisation; full fine-tuning at 16 and at 8 bytes a number; the states of LoRA at rank 16 on all
# linear layers; the blocks' inputs in 16 bits and the logits in float32, at 1 x 2048 tokens.
TABLE = """
SmolLM2-135M      .25   .11   .10   2.00  1.00  .07  .07  .38
Qwen2.5-0.5B      .92   .44   .43   7.36  3.68  .13  .08  1.16
TinyLlama-1.1B   2.05   .75   .71   16.4   8.2  .19  .17  .24
Llama-3.2-1B     2.30  1.00   .96   18.4   9.2  .17  .12  .98
Llama-3.2-3B     5.98  2.21  2.09   47.9  23.9  .36  .33  .98
Llama-2-7B      12.55  3.88  3.60    100    50  .60  .50  .24
Mistral-7B-v0.1 13.49  4.15  3.84    108    54  .62  .50  .24
Llama-3-8B      14.96  5.61  5.31    120    60  .62  .50  .98
Llama-3-70B       131  39.8  36.8   1051   526  3.1  2.5  .98
"""


@pytest.mark.parametrize("line", TABLE.strip().splitlines(), ids=lambda line: line.split()[0])
def test_the_table_of_GiB_follows_from_the_formulas_to_its_last_digit(line):
    name, *published = line.split()
    config = MODELS[name]
    numbers, lora = counting.model_params(config), LoRA(16).count(config)
    adapter = counting.ledger(config, lora, lora, "bf16", length=2048)
    one_block = memory.activations(config, 2048, True) - 2048 * config.num_hidden_layers * config.hidden_size
    count = [counting.weight_bytes(config, form) for form in ("bf16", "nf4", "nf4-double")]
    for number in (4, 2):
        full = counting.ledger(config, numbers, numbers, number=number)
        count.append(full["weights of the method"] + full["gradients"] + full["Adam's moments"])
    count.append(adapter["weights of the method"] + adapter["gradients"] + adapter["Adam's moments"])
    count.append(adapter["activations"] - 2 * one_block)  # the table leaves out the block that is computed again
    count.append(adapter["logits and their gradient"] // 2)  # and the gradient of the logits
    for value, text in zip(count, published, strict=True):
        half_a_digit = Decimal(1).scaleb(Decimal(text).as_tuple().exponent) / 2
        assert abs(Decimal(value) / 2**30 - Decimal(text)) <= half_a_digit
