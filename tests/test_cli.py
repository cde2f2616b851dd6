"""The command line on a small model: what it writes, exit codes, and one line for every mistake, before any work is done."""

import json
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from small_run import BASE, CONFIG, TEXT, disturbed

from minilora import __version__, cli
from minilora.commands import finetune
from minilora.files.huggingface import save_base
from minilora.files.peft import save_adapter
from minilora.files.safetensors import load_arrays
from minilora.methods import LoRA
from minilora.training.presets import PRESETS, VOICE_BATCH, VOICES

PLAIN = "finetune --base small --steps 4 --batch 2 --length 16"
FINETUNE = PLAIN + " --rank 2"
SPEAKERS = {"adapter": "--adapter adapter", "adapter and base": "--adapter adapter --base small", "base": "--base small"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder in which a user may have what is right and what is wrong."""
    folder = tmp_path_factory.mktemp("shop")
    save_base(folder / "small", CONFIG, BASE)
    save_base(folder / "broken", CONFIG, {**BASE, "model.norm.weight": np.full(16, np.nan, np.float32)})
    (folder / "own.txt").write_text(TEXT)
    (folder / "empty.txt").touch()
    (folder / "short.txt").write_text("a haiku")
    (folder / "latin1.txt").write_bytes("café".encode("latin-1"))
    (folder / "nothing").mkdir()
    (folder / "locked" / ".checkpoint.safetensors.partial").mkdir(parents=True)  # where nothing can be written, not even by root
    save_adapter(folder / "orphan", CONFIG, LoRA(2, 4.0), LoRA(2, 4.0).init(CONFIG, BASE, np.random.default_rng(0)), "gone")
    return folder


@pytest.fixture(autouse=True)
def quick(shop, monkeypatch):
    monkeypatch.chdir(shop)
    monkeypatch.setenv("MINILORA_OPS", "reference")


def run(capsys, line, *arguments):
    """-> exit code, standard output, standard error."""
    try:
        code = cli.main([*line.split(), *arguments])
    except SystemExit as stopped:  # argparse
        code = stopped.code
    return code, *capsys.readouterr()


def test_finetune_writes_an_adapter_that_generate_uses_with_its_own_base(capsys):
    code, out, _ = run(capsys, FINETUNE + " --text own.txt --out adapter")
    assert code == 0 and out.startswith("step 4: loss ")
    assert out.endswith('wrote adapter; try: minilora generate --adapter adapter "once upon a time"\n')
    said = {name: run(capsys, f"generate 12 --length 9 --temperature 2 {options}") for name, options in SPEAKERS.items()}
    assert all(code == 0 and out.startswith("12") and out.count("\n") == 1 and not err for code, out, err in said.values())
    assert said["adapter"] == said["adapter and base"] != said["base"]
    assert run(capsys, "generate 12 --count 3 --base small")[1].count("\n") == 3


def test_full_fine_tuning_writes_a_base(capsys):
    code, out, _ = run(capsys, PLAIN + " --method full --text own.txt --out tuned --json")
    assert code == 0 and [row["step"] for row in json.loads(out)] == [4]
    assert run(capsys, "generate 12 --base tuned")[0] == 0
    assert "try: minilora generate --base tuned2" in run(capsys, PLAIN + " --method full --text own.txt --out tuned2")[1]


def test_what_is_to_be_tried_can_be_pasted_and_is_in_the_voice(capsys, monkeypatch):
    monkeypatch.setattr("minilora.api.finetune", lambda *_, **__: SimpleNamespace(log=[], save=lambda folder: None))
    out = run(capsys, FINETUNE + " --corpus rot13 --out", "a $HOME")[1]
    assert out.endswith("try: minilora generate --adapter 'a $HOME' \"bapr hcba n gvzr\"\n")


def test_a_folder_that_is_written_already_is_kept_unless_the_run_is_resumed(capsys, shop):
    line = FINETUNE + " --text own.txt --out twice"
    assert run(capsys, line)[0] == 0
    before = {file.name: file.read_bytes() for file in (shop / "twice").iterdir()}
    code, out, err = run(capsys, line)
    assert code == 2 and out == "" and "name a new folder, or go on from its checkpoint with --resume" in err
    assert {file.name: file.read_bytes() for file in (shop / "twice").iterdir()} == before
    assert run(capsys, line + " --resume")[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_130_and_the_run_goes_on_from_its_checkpoint(capsys, monkeypatch, number):
    line = FINETUNE + f" --text own.txt --out stopped{number}"
    with monkeypatch.context() as patch:
        patch.setattr(finetune, "method_of", lambda *_: disturbed(2, lambda arrays: signal.raise_signal(number), LoRA(2, 4.0)))
        code, _, err = run(capsys, line)
    kept = f"stopped{number}/checkpoint.safetensors, from which --resume (resume=True) goes on"
    assert code == 130 and err.endswith(f"\nminilora: stopped after step 2; it is kept in {kept}\n")
    assert run(capsys, line + " --resume")[0] == run(capsys, FINETUNE + f" --text own.txt --out unbroken{number}")[0] == 0
    stopped, unbroken = (load_arrays(f"{folder}/adapter_model.safetensors")[0] for folder in (f"stopped{number}", f"unbroken{number}"))
    assert all(np.array_equal(stopped[name], unbroken[name]) for name in unbroken)


def test_ctrl_c_where_nothing_is_kept_is_a_word(capsys, monkeypatch):
    monkeypatch.setattr("minilora.api.load", lambda name: signal.raise_signal(signal.SIGINT))
    assert run(capsys, "generate --base small") == (130, "", "\nminilora: stopped\n")


def test_a_run_that_diverges_is_one_line_after_the_bar(capsys):
    code, out, err = run(capsys, FINETUNE + " --text own.txt --out diverged --learning-rate 1e30")
    assert code == 2 and out == "" and err.splitlines()[-1].startswith("minilora: the loss at step 2 is nan")


ROT13 = VOICES["rot13"]


@pytest.mark.parametrize(
    ("options", "settled"),
    [
        ("", (4, 8.0, "all-linear", 300, 16)),
        ("--preset", (ROT13["rank"], 2.0 * ROT13["rank"], ROT13["targets"], ROT13["steps"], VOICE_BATCH)),
        ("--preset --rank 4 --batch 16", (4, 8.0, ROT13["targets"], ROT13["steps"], 16)),
        ("--preset --targets q_proj --steps 300", (ROT13["rank"], 2.0 * ROT13["rank"], "q_proj", 300, VOICE_BATCH)),
    ],
)
def test_a_preset_stands_in_place_of_what_is_not_typed(capsys, monkeypatch, options, settled):
    def found(base, method, corpus, steps, batch, **_):
        raise ValueError(str((method.rank, method.alpha, method.targets, steps, batch)))

    monkeypatch.setattr("minilora.api.finetune", found)
    assert run(capsys, "finetune --base small --corpus rot13 --out x " + options)[2] == f"minilora: {settled}\n"


def test_pretrain_writes_a_base_with_its_recipe_and_log(capsys, shop, monkeypatch):
    recipe = {"batch": 2, "length": 16, "steps": 99}
    monkeypatch.setitem(PRESETS, "tiny", {"config": CONFIG, "corpus": "own.txt", "recipe": recipe})
    code, out, _ = run(capsys, "pretrain --preset tiny --out made --steps 2")
    assert code == 0 and out == "wrote made; try: minilora generate --base made\n"
    assert json.loads((shop / "made" / "recipe.json").read_text()) == {"corpus": "own.txt", **recipe, "steps": 2}
    assert [row["step"] for row in json.loads((shop / "made" / "log.json").read_text())] == [2]
    assert run(capsys, "generate 12 --base made")[0] == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "the following arguments are required: COMMAND; minilora --help explains"),
        ("fly", "argument COMMAND: invalid choice: 'fly'"),
        ("generate --json", "unrecognized arguments: --json; minilora generate --help explains"),
        ("pretrain --out small", "small is not empty, and what is in it could be written over: name a new folder"),
        (PLAIN + " --method full --text own.txt --out small", "small is not empty, and what is in it could be written over"),
        ("finetune --corpus pirate", "the following arguments are required: --out; minilora finetune --help explains"),
        ("finetune --out x", "one of the arguments --corpus --text is required"),
        ("finetune --out x --corpus pirate --text own.txt", "argument --text: not allowed with argument --corpus"),
        ("finetune --out x --text own.txt --preset", "there is no preset for own.txt; there are some for shout, pirate, uwu"),
        ("finetune --out x --corpus pirat", "no corpus or file is called 'pirat'; the closest is 'pirate'"),
        ("finetune --out x --corpus=", "no corpus or file is called ''"),
        ("finetune --out x --text=", "argument --text: an empty name is no path"),
        ("finetune --out= --text own.txt", "argument --out: an empty name is no path"),
        (FINETUNE + " --out x --text empty.txt", "empty.txt is empty: give it text to learn from"),
        (FINETUNE + " --out x --text short.txt", "short.txt: a row takes 16 characters and there are 7 to train on"),
        (FINETUNE + " --out x --text latin1.txt", "latin1.txt is not UTF-8 at byte 3"),
        (FINETUNE + " --out x --text missing.txt", "there is no file or folder missing.txt: check the path"),
        (FINETUNE + " --out x --text /dev/null", "/dev/null is neither a file nor a folder: name one"),
        (FINETUNE + " --out x --text nothing", "nothing holds no *.txt, *.md or *.py"),
        (FINETUNE + " --out x --text own.txt --steps 0", "steps is 0, it must be at least 1"),
        (FINETUNE + " --out x --text own.txt --steps 1.5", "argument --steps: invalid int value: '1.5'"),
        (FINETUNE + " --out x --text own.txt --batch 0", "batch is 0, it must be at least 1"),
        (FINETUNE + f" --out x --text own.txt --batch {10**9}", "a step of 1,000,000,000 x 16 tokens would take "),
        ("generate --base small --count 1000000000", "the keys and values of 1,000,000,000 texts would take "),
        (FINETUNE + " --out x --text own.txt --length -1", "length is -1, it must be at least 1"),
        (FINETUNE + " --out x --text own.txt --length 40", "length is 40, and the context has room for 32 tokens"),
        (FINETUNE + " --out x --text own.txt --seed -1", "seed is -1, it must be at least 0"),
        (FINETUNE + " --out x --text own.txt --learning-rate -1", "learning rate -1.0 must be above 0"),
        (FINETUNE + " --out x --text own.txt --alpha 0", "alpha 0.0 must be above 0"),
        (FINETUNE + " --out x --text own.txt --alpha nan", "alpha nan must be above 0"),
        (FINETUNE + " --out x --text own.txt --rank 0", "rank is 0: give a whole number of at least 1"),
        (FINETUNE + " --out x --text own.txt --rank 17", "rank 17 is outside 1..16"),
        (FINETUNE + " --out x --text own.txt --targets q_porj", "'q_porj' matches no module; the closest is 'q_proj'"),
        (FINETUNE + " --out x --text own.txt --method lara", "there is no method 'lara'; there are adalora"),
        (FINETUNE + " --out x --text own.txt --method full", "full has no --rank: leave it out"),
        (PLAIN + " --out x --text own.txt --method ia3 --alpha 2 --targets q_proj", "ia3 has no --alpha and no --targets: leave"),
        (PLAIN + " --out x --text own.txt --method bitfit", "bitfit has no place in PEFT's format"),
        (PLAIN + " --out x --text own.txt --method full --nf4", "those in four bits stay as they are: leave out --nf4"),
        (FINETUNE + " --out locked --text own.txt", ".partial': is a directory: check the name, who may write"),
        (FINETUNE + " --out own.txt --text own.txt", "own.txt cannot be a folder, for a file is in the way: choose another name"),
        (FINETUNE + " --out own.txt/x --text own.txt", "own.txt/x cannot be a folder, for a file is in the way"),
        (FINETUNE + " --out nothing --text own.txt --resume", "there is no checkpoint nothing/checkpoint.safetensors to resume from"),
        (FINETUNE + " --out x --text own.txt --base missing", "there is no base called 'missing'"),
        (FINETUNE + " --out x --text own.txt --base nothing", "there is no nothing/config.json: name the folder that holds it"),
        (FINETUNE + " --out x --text own.txt --base broken", "model.norm.weight holds numbers that are not finite"),
        ("generate --base small --adapter missing", "there is no folder missing: check the name"),
        ("generate --adapter orphan", "orphan is for the base 'gone', which is not here by that name: name the folder"),
        ("generate --base small \udcff", "the text '\\udcff' is not UTF-8 at character 0"),
        ("generate --base small --adapter small", "small holds a whole model and no adapter: load it as a base"),
        ("generate --base small --adapter=", "argument --adapter: an empty name is no path"),
        ("generate --base small --count 0", "count is 0, it must be at least 1"),
        ("generate --base small --length 0", "length is 0, it must be at least 1"),
        ("generate --base small --temperature -1", "temperature -1.0 and top_k 0 must be at least 0"),
        ("generate --base small --top-p 0", "top_p 0.0 in 0 < p <= 1"),
        ("generate --base small 1234567890123456789012345678901", "the prompt has 32 tokens and the context 32"),
        ("pretrain --out x --preset tales", "there is no preset 'tales'; there are stories-base"),
        ("pretrain --out x --steps 0", "steps is 0, it must be at least 1"),
        ("pretrain --out nothing --resume", "there is no checkpoint nothing/checkpoint.safetensors to resume from"),
        ("gradcheck --rank 13", "rank 13 is outside 1..12"),
        ("gradcheck --alpha 0", "alpha 0.0 must be above 0"),
        ("demo --figures own.txt", "own.txt cannot be a folder, for a file is in the way"),
        ("bench --sizes Q", "there is no size 'Q'; there are S, M, L"),
        ("bench --repeats 0", "repeats is 0, it must be at least 1"),
    ],
)
def test_a_mistake_gets_one_line_and_exit_code_two_and_writes_nothing(capsys, shop, line, message):
    before = sorted(path.name for path in shop.iterdir())
    code, out, err = run(capsys, line)
    assert code == 2 and out == "" and err.count("\n") == 1 and err.startswith("minilora: ") and message in err
    assert sorted(path.name for path in shop.iterdir()) == before


def test_the_version_is_printed(capsys):
    assert run(capsys, "--version") == (0, f"minilora {__version__}\n", "")


def test_in_a_process_of_its_own_there_is_no_traceback_either():
    line = [sys.executable, "-m", "minilora", "generate", "--base", "nowhere"]
    found = subprocess.run(line, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == "minilora: there is no base called 'nowhere' and no folder of that name; with the package come: stories-base\n"
