"""The numbers behind the pictures of real training: `python -m minilora.pictures.measure` makes them again, in about two minutes.

LoRA and full fine-tuning learn the same voice, and copies of their arrays are kept on the way. What the pictures need of them is written to
minilora/pictures/data: small tables, a row a line, that a reader can check and from which drawing is quick.
"""

from dataclasses import asdict, replace

import numpy as np

from minilora import api, lowrank
from minilora.methods import Full, LoRA
from minilora.pictures.tables import write
from minilora.training.voices import VOICES

VOICE, PROMPT, SEED, TEXTS = "pirate", "once upon a time", 0, 16
METHOD = LoRA(rank=8, alpha=16, targets="all-linear")
MATRIX = "model.layers.1.mlp.down_proj"
RECIPE = {"steps": 200, "batch": 8, "evaluate_every": 5, "seed": SEED}
STRENGTHS = tuple(n / 20 for n in range(21))


def watched(method, every):
    """The method, which now keeps a copy of its arrays at every `every`-th step -> method, step -> arrays."""
    kept = {}

    class Watched(type(method)):
        def after_step(self, arrays, grads, step, steps):
            super().after_step(arrays, grads, step, steps)
            if step % every == 0:
                kept[step] = {name: array.copy() for name, array in arrays.items()}

    return Watched(**vars(method)), kept


def update(base, method, arrays):
    """What the method has added to MATRIX, (d, k)."""
    if isinstance(method, LoRA):
        A, B = (arrays[f"{MATRIX}.lora_{part}"] for part in "AB")  # (d, r), (r, k)
        return lowrank.delta(A, B, method.scales(base.config)[MATRIX])  # (d, k)
    return arrays[f"{MATRIX}.weight"] - base.weights[f"{MATRIX}.weight"]  # (d, k)


def spectrum(base, method, arrays):
    """The singular values of the update, largest first; of LoRA's the first r, since the others are zero but for rounding."""
    values = np.linalg.svd(update(base, method, arrays).astype(np.float64), compute_uv=False)  # (min(d, k),)
    return [rounded(value) for value in (values[: method.rank] if isinstance(method, LoRA) else values)]


def rounded(value):
    """Four significant digits: what a picture can show."""
    return float(f"{value:.4g}")


def speech(base, adapter):
    """One text, and the mean of the voice's checker over TEXTS of them."""
    texts = base.generate(VOICES[VOICE].encode(PROMPT), adapter, count=TEXTS, seed=SEED)
    return {"text": texts[0], "obeyed": rounded(np.mean([VOICES[VOICE].score(text) for text in texts]))}


def training(base, method):
    """-> the trained adapter, and a row for every fifth step: held-out loss and the update's singular values; LoRA's with a text."""
    watcher, kept = watched(method, RECIPE["evaluate_every"])
    adapter = api.finetune(base, watcher, VOICE, **RECIPE)
    rows = [{"method": method.name, "step": 0, "held_out": rounded(base.held_out_loss(VOICE)[0]), "singular_values": []}]
    for entry in adapter.log:
        values = spectrum(base, method, kept[entry["step"]])
        rows.append({"method": method.name, "step": entry["step"], "held_out": rounded(entry["held_out"]), "singular_values": values})
    if isinstance(method, LoRA):
        for row in rows:
            row |= speech(base, replace(adapter, arrays=kept[row["step"]]) if row["step"] else None)
    return replace(adapter, method=method), rows


def strengths(base, adapter):
    """A row for each strength t: W + t s A B on the voice it learned and on the stories it came from."""
    rows = []
    for t in STRENGTHS:
        weaker = replace(adapter, method=replace(adapter.method, alpha=t * adapter.method.alpha)) if t else None
        losses = {name: rounded(base.held_out_loss(name, weaker)[0]) for name in (VOICE, "stories")}
        rows.append({"strength": t, **losses, **speech(base, weaker)})
    return rows


def measure():
    base = api.load("stories-base")
    adapter, rows = training(base, METHOD)
    about = {"base": base.name, "voice": VOICE, "lora": asdict(METHOD), "recipe": RECIPE, "prompt": PROMPT, "texts": TEXTS}
    entropies = {name: rounded(np.subtract(*base.held_out_loss(name))) for name in (VOICE, "stories")}
    shape = base.weights[f"{MATRIX}.weight"].shape
    write("training.json", [*rows, *training(base, Full())[1]], **about, matrix=MATRIX, shape=shape, entropies=entropies)
    write("strength.json", strengths(base, adapter), **about, entropies=entropies)


if __name__ == "__main__":
    measure()
