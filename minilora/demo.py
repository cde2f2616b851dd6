"""The whole story in one command: count, train, swap, measure, look."""

import time
from pathlib import Path

import numpy as np

from minilora import api, lowrank
from minilora.files.safetensors import digest
from minilora.methods import Full, LoRA
from minilora.pictures import film
from minilora.training.voices import VOICES

STEPS = 300
PROMPT = "once upon a time"
METHOD = LoRA(rank=8, alpha=16, targets="all-linear")
SPEAKERS = ("pirate", "uwu", "shout")
LOOK_AT = "model.layers.1.mlp.down_proj"


def arithmetic():
    """The product of the film's 5 x 2 and 2 x 8 matrices, written out."""
    A, B = film.A, film.B  # (5, 2), (2, 8)
    product = A @ B  # (5, 8)
    print("\n1. Two thin matrices in place of a wide one\n")
    for i in range(5):
        left = " ".join(f"{n:2d}" for n in A[i])
        middle = " ".join(f"{n:2d}" for n in B[i]) if i < 2 else " " * 23
        right = " ".join(f"{n:2d}" for n in product[i])
        print(f"   {left}   {'x' if i == 0 else ' '} {middle}   {'=' if i == 0 else ' '} {right}")
    print(f"\n   A has {A.size} numbers and B {B.size}: {A.size + B.size} numbers stand for the {product.size} of the product.")
    print(f"   Every row on the right is a mixture of the two rows of B: its rank is {np.linalg.matrix_rank(product)}.")


def score(base, adapter, voice):
    """The mean of the voice's checker over 16 texts, each begun with the prompt in that voice."""
    texts = base.generate(VOICES[voice].encode(PROMPT), adapter, count=16)
    return float(np.mean([VOICES[voice].score(text) for text in texts]))


def row_of(base, voice, adapter):
    """One line of the table, measured."""
    trainable = sum(adapter.arrays[name].size for name in adapter.method.trainable(adapter.arrays))
    return {
        "voice": voice,
        "method": adapter.method.name,
        "trainable": trainable,
        "optimiser bytes": 2 * 4 * trainable,  # two moments in float32
        "s/step": adapter.log[-1]["seconds"],
        "loss above best": adapter.log[-1]["excess"],
        "voice obeyed": score(base, adapter, voice),
    }


def draw_spectrum(path, lora, full):
    """The singular values of one matrix's update, by LoRA and by full fine-tuning, each (min(d, k),)."""
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    index = np.arange(1, len(full) + 1)
    axes.semilogy(index, full / full[0], ".", color="#888888", label="full fine-tuning: all directions move a little")
    kept = lora[: METHOD.rank]
    axes.semilogy(index[: METHOD.rank], kept / lora[0], "o", color="#c44e00", label=f"LoRA: {METHOD.rank} directions, and exactly no more")
    axes.set(xlabel="singular value, from the largest", ylabel="size, the largest being 1", title=f"The update of {LOOK_AT}")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def demo(figures):
    began = time.perf_counter()
    base = api.load("stories-base")
    before = digest(base.weights)
    arithmetic()

    size = sum(array.size for array in base.weights.values())
    print(f"\n2. The base, {size:,} numbers, trained on stories that a grammar makes\n")
    for text in base.generate(PROMPT, count=2):
        print(f"   {text}")

    print(f"\n3. Three adapters, and full fine-tuning beside the first, {STEPS} steps each\n", flush=True)
    adapters = {voice: api.finetune(base, METHOD, voice, steps=STEPS, batch=8) for voice in SPEAKERS}
    full = api.finetune(base, Full(), SPEAKERS[0], steps=STEPS, batch=8)

    print("\n4. One base, three voices: an adapter is swapped by naming another one\n")
    for voice in SPEAKERS:
        print(f"   {voice:>7}: {base.generate(VOICES[voice].encode(PROMPT), adapters[voice])}")
    print(f"   {'none':>7}: {base.generate(PROMPT)}")
    unchanged = digest(base.weights) == before
    print(f"\n   The base's bytes are {'unchanged' if unchanged else 'CHANGED'}: sha256 {before[:16]}... before and after.")

    print("\n5. What it cost and what it gave\n")
    rows = [row_of(base, SPEAKERS[0], full)] + [row_of(base, voice, adapters[voice]) for voice in SPEAKERS]
    print(f"   {'voice':<8}{'method':<8}{'trainable':>10}{'optimiser':>12}{'a step':>10}{'above best':>15}{'obeyed':>8}")
    for row in rows:
        print(
            f"   {row['voice']:<8}{row['method']:<8}{row['trainable']:>10,}{row['optimiser bytes'] / 1e6:>9.2f} MB"
            f"{1e3 * row['s/step']:>7.0f} ms{row['loss above best']:>9.3f} nats{row['voice obeyed']:>8.0%}"
        )
    print("   above best: held-out loss a character, minus that of the grammar itself; obeyed: the voice's checker on 16 new texts.")

    A, B = (adapters[SPEAKERS[0]].arrays[f"{LOOK_AT}.lora_{part}"] for part in "AB")  # (d, r), (r, k)
    update = lowrank.delta(A, B, METHOD.scales(base.config)[LOOK_AT])  # (d, k)
    change = full.arrays[f"{LOOK_AT}.weight"] - base.weights[f"{LOOK_AT}.weight"]  # (d, k)
    path = Path(figures) / "demo_singular_values.png"
    draw_spectrum(path, np.linalg.svd(update, compute_uv=False), np.linalg.svd(change, compute_uv=False))
    print(f"\n6. The singular values of one trained update are drawn in {path}")

    print(
        '\n7. Where next\n   minilora finetune --corpus rot13 --preset --out rot13 && minilora generate --adapter rot13 "bapr hcba n gvzr"'
    )
    print("   minilora gradcheck        and read minilora/lowrank.py, the file that all of this stands on")
    print(f"\n   {time.perf_counter() - began:.0f} s in all.")
