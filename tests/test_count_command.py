"""`minilora count` and `minilora memory`: what they print for people and for programs, and one line for what is wrong."""

import json
import subprocess
import sys

import pytest

from minilora import cli
from minilora.commands.table import table
from minilora.counting import bytes_of
from minilora.methods import METHODS


def run(capsys, line):
    """-> exit code, standard output, standard error."""
    try:
        code = cli.main(line.split())
    except SystemExit as stopped:  # argparse
        code = stopped.code
    return code, *capsys.readouterr()


def test_one_matrix(capsys):
    code, out, _ = run(capsys, "count --d 4096 --k 4096 --rank 16")
    assert code == 0
    for words in ("16,777,216", "131,072", "0.0078", "0.6745", "99.22% fewer numbers", "2,048.00", "682.67"):
        assert words in out
    result = json.loads(run(capsys, "count --d 5 --k 8 --rank 4 --json")[1])
    assert (result["full_params"], result["lora_params"]) == (40, 52) and result["saving"] == pytest.approx(-0.3)
    assert "30.00% more numbers" in run(capsys, "count --d 5 --k 8 --rank 4")[1]


def test_a_model_and_the_line_that_PEFT_prints(capsys):
    line = "count --model llama-2-7b --rank 8 --targets q_proj,v_proj"
    out = run(capsys, line)[1]
    assert "\ntrainable params: 4,194,304 || all params: 6,742,609,920 || trainable%: 0.0622\n" in out
    result = json.loads(run(capsys, line + " --json")[1])
    assert sum(row["trainable"] for row in result["modules"]) == result["trainable"] == 4_194_304
    assert sum(row["base"] for row in result["modules"]) == result["base"] == 6_738_415_616
    full, lora = (sum(result["step"][name].values()) for name in ("full", "lora"))
    assert f"{lora / full:.4f}" in out.splitlines()[-1]


def test_the_base_that_comes_along_is_known_by_its_name(capsys):
    result = json.loads(run(capsys, "count --model stories-base --rank 8 --json")[1])
    assert (result["base"], result["trainable"]) == (455_520, 55_296)


def test_a_config_json_and_full_fine_tuning(capsys, tmp_path):
    sizes = {"vocab_size": 13, "hidden_size": 12, "intermediate_size": 10, "num_hidden_layers": 2, "num_attention_heads": 2}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2", **sizes}))
    result = json.loads(run(capsys, f"count --config {tmp_path}/config.json --method full --json")[1])
    numbers = 2 * 13 * 12 + 2 * (4 * 12 * 12 + 3 * 12 * 10 + 2 * 12 + 3 * 12) + 12
    assert result["base"] == result["trainable"] == result["all"] == numbers and result["percent"] == 100


def test_every_method_can_be_counted_in_a_model(capsys):
    for method in METHODS:
        result = json.loads(run(capsys, f"count --model smollm2 --method {method.name} --json")[1])
        assert sum(row["trainable"] for row in result["modules"]) == result["trainable"] > 0
        assert sum(row["base"] for row in result["modules"]) == result["base"]
        of_the_base = method.name in ("full", "norms", "last-layers")
        assert result["all"] == result["base"] + (0 if of_the_base else result["trainable"])


def test_a_table_has_words_to_the_left_and_numbers_to_the_right():
    assert table(("part", "base"), [("head", "1,024"), ("embedding", "-")]) == "part        base\nhead       1,024\nembedding      -"


@pytest.mark.parametrize("line", ["count --model gpt-3 --rank 4", "memory --budget 8GB", "memory --model qwen2.5"])
def test_what_is_printed_fits_a_wide_terminal(capsys, line):
    assert 40 < max(map(len, run(capsys, line)[1].splitlines())) <= 140


def test_what_fits_into_eight_gigabytes(capsys):
    plans = {plan["model"]: plan for plan in json.loads(run(capsys, "memory --budget 8GB --json")[1])["models"]}
    fits = {name: [way for way, part in plan["ways"].items() if part["fits"]] for name, plan in plans.items()}
    assert fits["SmolLM2-135M"] == list(plans["SmolLM2-135M"]["ways"])
    assert fits["Llama-2-7B"] == ["lora nf4", "lora nf4-double"] and fits["Llama-3-8B"] == []
    for plan in plans.values():
        for way in plan["ways"].values():
            assert way["total"] == sum(way["parts"].values()) and way["fits"] == (way["total"] <= 8e9) == (way["tokens"] >= 2048)
    out = run(capsys, "memory --budget 8GB")[1]
    assert "assumed: AdamW" in out and "fits into 8GB" in out and "6.17 *" in out


def test_the_most_tokens_that_fit_do_and_one_more_does_not(capsys):
    line = "memory --model llama-3-8b --budget 8GiB --json --length "
    tokens = json.loads(run(capsys, line + "512")[1])["models"][0]["ways"]["lora nf4-double"]["tokens"]
    fits = [
        json.loads(run(capsys, line + str(length))[1])["models"][0]["ways"]["lora nf4-double"]["fits"] for length in (tokens, tokens + 1)
    ]
    assert fits == [True, False]


def test_a_small_model_is_told_in_megabytes(capsys):
    plan = json.loads(run(capsys, "memory --model stories-base --json")[1])["models"][0]["ways"]["lora bf16"]
    out = run(capsys, "memory --model stories-base")[1]
    (total,) = (line.split() for line in out.splitlines() if line.startswith("total"))
    assert "in MB (10^6 bytes)" in out and total[3] == f"{plan['total'] / 1e6:.2f}" == "15.14"


def test_keeping_all_activations(capsys):
    again, kept = (json.loads(run(capsys, "memory --model smollm2 --json" + keep)[1])["models"][0]["ways"] for keep in ("", " --keep"))
    for way in again:
        both = again[way]["activations"]
        assert both == kept[way]["activations"] and both["recomputed"] < both["kept"]
        assert (again[way]["parts"]["activations"], kept[way]["parts"]["activations"]) == (both["recomputed"], both["kept"])


def test_full_fine_tuning_has_no_frozen_base(capsys):
    (plan,) = json.loads(run(capsys, "memory --model llama-2-7b --method full --json")[1])["models"]
    assert list(plan["ways"]) == ["full float32", "full bf16"] and round(plan["ways"]["full bf16"]["total"] / 1e9, 2) == 55.27


def test_a_model_that_is_no_place_for_the_method_is_left_out_and_named(capsys):
    out = run(capsys, "memory --method ia3")[1]
    assert "Llama-3-8B" in out and "left out: Qwen2.5-0.5B: model.layers.0.self_attn.k_proj has a bias" in out


@pytest.mark.parametrize(
    ("text", "count"), [("8GB", 8 * 10**9), ("8 gib", 8 * 2**30), ("7.5GiB", 15 * 2**29), ("500MB", 5 * 10**8), ("1000 kB", 10**6)]
)
def test_amounts_of_memory(text, count):
    assert bytes_of(text) == count


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("count --d -5 --k 8", "argument --d: '-5' is not a whole number of at least 1"),
        ("count --d 0 --k 8", "argument --d: '0' is not a whole number of at least 1"),
        ("count --d 4.5 --k 8", "argument --d: '4.5' is not a whole number of at least 1"),
        ("count --d 5 --k 8 --rank 1.5", "argument --rank: invalid int value: '1.5'"),
        ("count --d 5 --k 8 --rank 0", "r is 0: give a whole number of at least 1"),
        ("count --d 5 --k 8 --rank 6", "rank 6 is outside 1..5"),
        ("count --d 4294967296 --k 2147483648", "d k = 9,223,372,036,854,775,808 is past 2^63 - 1"),
        ("count --d 5", "count takes --d and --k together, or else --model or --config"),
        ("count", "count takes --d and --k together"),
        ("count --d 5 --k 8 --model gpt-3", "name one matrix or one model"),
        ("count --model lama", "there is no known model 'lama'; the closest is"),
        ("count --model gpt-3 --config x", "argument --config: not allowed with argument --model"),
        ("count --model llama-2-7b --targets q_porj", "'q_porj' matches no module; the closest is 'q_proj'"),
        ("count --model llama-2-7b --method nope", "there is no method 'nope'"),
        ("count --model llama-2-7b --rank 4097", "rank 4097 is outside 1..4096"),
        ("count --config nowhere", "there is no nowhere"),
        ("memory --budget much", "'much' is no amount of memory: write it with its unit, as 8GB, 7.5GiB or 500MB"),
        ("memory --budget 8", "'8' is no amount of memory"),
        ("memory --rank 5000", "rank 5000 is outside 1..576"),
        ("count --d 5 --k 8 --rank 2 --targets attention", "--targets says nothing about one matrix"),
        ("memory --budget 0GB", "'0GB' is no amount of memory"),
        ("memory --length 0", "argument --length: '0' is not a whole number of at least 1"),
        ("memory --model gpt-3", "GPT-3 is no Llama"),
    ],
)
def test_a_mistake_gets_one_line_and_exit_code_two(capsys, line, message):
    code, out, err = run(capsys, line)
    assert code == 2 and out == "" and err.count("\n") == 1 and message in err


def test_counting_starts_without_numba():
    script = "import sys; from minilora import cli; cli.main('count --d 5 --k 8 --rank 2'.split()); assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
