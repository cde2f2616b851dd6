"""Published integers, to the last digit; and what was published rounded, or does not follow from its formula."""

import pytest

from minilora import counting
from minilora.commands.count import peft_line
from minilora.methods import IA3, BitFit, DoRA, Houlsby, LoRA, LoRAFA, Norms, Prefix, Prompt, VeRA
from minilora.transformer.known import KNOWN

QV = "q_proj,v_proj"

TOTALS = {
    "SmolLM2-135M": 134_515_008,
    "TinyLlama-1.1B": 1_100_048_384,
    "Llama-2-7B": 6_738_415_616,
    "Llama-3-8B": 8_030_261_248,
    "Llama-3.2-1B": 1_235_814_400,
    "Llama-3.2-3B": 3_212_749_824,
    "Mistral-7B-v0.1": 7_241_732_096,
    "Qwen2.5-0.5B": 494_032_768,
}


@pytest.mark.parametrize("name", TOTALS)
def test_the_total_of_a_known_model_by_formula_and_by_arrays(name):
    assert counting.model_params(KNOWN[name]) == counting.total(KNOWN[name].shapes()) == TOTALS[name]


def test_every_known_llama_has_a_published_total():
    assert TOTALS.keys() == KNOWN.keys() - {"GPT-3"}


# Trainable parameters that PEFT's benchmark publishes for Llama-3.2-3B, and those of other sources where a model is named.
PUBLISHED = [
    ("Llama-3.2-3B", LoRA(32, targets=QV), 9_175_040),
    ("Llama-3.2-3B", LoRA(64, targets=QV), 18_350_080),
    ("Llama-3.2-3B", LoRA(10, targets="mlp"), 9_461_760),
    ("Llama-3.2-3B", LoRAFA(32, targets=QV), 3_670_016),
    ("Llama-3.2-3B", DoRA(32, targets=QV), 9_289_728),
    ("Llama-3.2-3B", VeRA(256, targets=QV), 129_024),
    ("Llama-3.2-3B", IA3(), 286_720),
    ("Llama-3.2-3B", Prefix(200), 11_468_800),
    ("Llama-3.2-3B", Prefix(50), 2_867_200),
    ("Llama-3.2-3B", Prompt(200), 614_400),
    ("Llama-3.2-3B", Norms(), 175_104),
    ("Qwen2.5-0.5B", BitFit("q_proj,k_proj,v_proj"), 27_648),
    ("GPT-3", LoRA(1, targets=QV), 4_718_592),
    ("GPT-3", LoRA(2, targets="v_proj"), 4_718_592),
    ("GPT-3", LoRA(4, targets=QV), 18_874_368),
    ("GPT-3", LoRA(8, targets=QV), 37_748_736),
]


@pytest.mark.parametrize(("model", "method", "published"), PUBLISHED, ids=[f"{row[0]}-{row[1].name}-{row[2]}" for row in PUBLISHED])
def test_what_a_method_trains_in_a_model(model, method, published):
    assert method.count(KNOWN[model]) == published


def test_training_A_alone_is_what_LoRA_trains_and_LoRA_FA_does_not():
    """MiCA at rank 32 trains 5,505,024 numbers in Llama-3.2-3B."""
    config = KNOWN["Llama-3.2-3B"]
    assert LoRA(32, targets=QV).count(config) - LoRAFA(32, targets=QV).count(config) == 5_505_024


# What print_trainable_parameters says at rank 8 of q and v, rank 16 of the attention, and rank 16 of all linear layers.
PEFT_LINES = {
    "SmolLM2-135M": [(460_800, 134_975_808, "0.3414"), (1_843_200, 136_358_208, "1.3517"), (4_884_480, 139_399_488, "3.5039")],
    "TinyLlama-1.1B": [(1_126_400, 1_101_174_784, "0.1023"), (4_505_600, 1_104_553_984, "0.4079"), (12_615_680, 1_112_664_064, "1.1338")],
    "Llama-3.2-1B": [(851_968, 1_236_666_368, "0.0689"), (3_407_872, 1_239_222_272, "0.2750"), (11_272_192, 1_247_086_592, "0.9039")],
    "Qwen2.5-0.5B": [(540_672, 494_573_440, "0.1093"), (2_162_688, 496_195_456, "0.4359"), (8_798_208, 502_830_976, "1.7497")],
    "Llama-2-7B": [(4_194_304, 6_742_609_920, "0.0622"), (16_777_216, 6_755_192_832, "0.2484"), (39_976_960, 6_778_392_576, "0.5898")],
    "Llama-3-8B": [(3_407_872, 8_033_669_120, "0.0424"), (13_631_488, 8_043_892_736, "0.1695"), (41_943_040, 8_072_204_288, "0.5196")],
}


@pytest.mark.parametrize("model", PEFT_LINES)
def test_the_line_that_PEFT_prints(model):
    config = KNOWN[model]
    methods = LoRA(8, targets=QV), LoRA(16, targets="attention"), LoRA(16)
    for method, (trainable, everything, percent) in zip(methods, PEFT_LINES[model], strict=True):
        count = method.count(config)
        all_params = counting.model_params(config) + count
        line = peft_line({"trainable": count, "all": all_params, "percent": 100 * count / all_params})
        assert line == f"trainable params: {trainable:,} || all params: {everything:,} || trainable%: {percent}"


def rounded(count, unit, digits):
    return f"{count / unit:.{digits}f}"


def test_what_the_LoRA_paper_prints_rounded_for_GPT_3():
    """Table 4: 7.1M and 40.1M in adapters after each sub-layer, 3.2M for 264 learned embeddings, 4.7M and 37.7M for LoRA."""
    config = KNOWN["GPT-3"]
    assert [rounded(Houlsby(m).count(config), 1e6, 1) for m in (1, 8, 64)] == ["7.1", "40.1", "304.4"]
    assert rounded(Prompt(264).count(config), 1e6, 1) == "3.2"
    assert [rounded(LoRA(r, targets=QV).count(config), 1e6, 1) for r in (1, 8)] == ["4.7", "37.7"]


def test_the_total_that_the_LoRA_paper_prints_for_GPT_3_does_not_follow_from_its_sizes():
    d, L = 12288, 96
    total = L * (12 * d * d + 13 * d) + (50257 + 2048) * d + 2 * d
    assert counting.total(KNOWN["GPT-3"].shapes()) == total == 174_604_259_328
    assert rounded(total, 1e6, 1) != "175255.8"
    assert rounded(total + 50257 * d, 1e6, 1) != "175255.8", "nor with a head of its own"


def test_the_table_of_LoRA_without_regret_counts_the_head_as_adapted():
    """Schulman 2025, for Llama-3.1-8B, whose sizes are Llama-3-8B's: 0.49, 0.25, 0.70 and 0.24 billion."""
    config = KNOWN["Llama-3-8B"]
    for rank, targets, published in ((256, "mlp", "0.49"), (256, "attention", "0.25"), (256, "all-linear", "0.70"), (128, "mlp", "0.24")):
        assert rounded(LoRA(rank, targets=(targets, "lm_head")).count(config), 1e9, 2) == published
        assert rounded(LoRA(rank, targets=targets).count(config), 1e9, 2) != published
