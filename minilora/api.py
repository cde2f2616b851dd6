"""The front door: load a base, adapt it, let it speak, keep the adapter.

    base = load("stories-base")
    adapter = finetune(base, LoRA(rank=4, alpha=8, targets="all-linear"), corpus="pirate", steps=300)
    print(base.generate("once upon a time", adapter=adapter))
    adapter.save("pirate")

A Base is never changed: its arrays are marked read-only, and an adapter is a handful of arrays beside it. Swapping adapters is
naming another one.
"""

from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from os.path import isdir, isfile
from pathlib import Path

import numpy as np

from minilora import ops
from minilora.adapters.adapter import Adapter, read_adapter, refuse_name, refuse_other
from minilora.counting import whole
from minilora.counting.memory import FLOAT32, cache_bytes, refuse_beyond
from minilora.files import huggingface, peft
from minilora.files.strict_json import short
from minilora.files.tokenizer import Tokenizer, read_tokenizer
from minilora.methods import Full, Method
from minilora.quantization import quantize
from minilora.training import corpora
from minilora.training.gradients import evaluate, workers
from minilora.training.loop import Recipe, train
from minilora.training.tokens import in_tokens
from minilora.transformer import Config, model
from minilora.transformer.generate import generate

SHIPPED = Path(__file__).parent / "models"  # bases that come with the package
USUAL_LENGTH = 256  # tokens that are generated at the most, if nothing is said


@dataclass(frozen=True)
class Base:
    """A frozen language model: a Config, its weights, name -> read-only array or NF4Weight, and a tokenizer where a token is not a byte."""

    name: str
    config: Config
    weights: dict = field(repr=False)
    tokenizer: Tokenizer | None = None

    def __post_init__(self):
        for array in self.weights.values():
            if isinstance(array, np.ndarray):
                array.setflags(write=False)

    @property
    def unit(self):
        """What a token is: losses are in nats a character or a token."""
        return "character" if self.tokenizer is None else "token"

    def encode(self, text):
        """The tokens of a text, as a list of integers, with its begin mark where there is one."""
        return corpora.encode(text) if self.tokenizer is None else self.tokenizer.encode(text)

    def decode(self, tokens, start=0):
        """The text of tokens[start:], up to its end."""
        return corpora.decode(tokens[start:]) if self.tokenizer is None else self.tokenizer.decode(tokens, start)

    def corpus(self, name):
        """The corpus of this name or path, in this base's tokens. ValueError or FileNotFoundError where there is none."""
        corpus = corpora.load(name)
        return corpus if self.tokenizer is None else in_tokens(corpus, self.tokenizer)

    def quantized(self, double=True, keep=False):
        """A new Base whose matrices within the layers take four bits a number (quantization.py), for QLoRA; `keep` them for LoftQ."""
        weights = quantize(self.weights, double, ops.choose().dequantize_tile, keep)
        for array in self.weights.values():
            huggingface.let_go(array)  # what was read of a mapped file need not stay in memory
        return replace(self, weights=weights)

    def generate(self, prompt="", adapter=None, length=None, seed=0, temperature=0.8, top_k=0, top_p=1.0, count=1):
        """Continue the prompt -> the text, prompt included, up to its end or `length` more tokens; a list of texts if count > 1.

        Without an adapter the base speaks. Raises ValueError for a prompt that leaves no room in the context, and for dials out of range.
        """
        for name, value, least in (("count", count, 1), ("length", length, 1), ("seed", seed, 0)):
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}, it must be at least {least}")
        if not isinstance(prompt, str):
            raise ValueError(f"the prompt is {short(prompt)}: give one text, and a `count` for several continuations of it")
        tokens = self.encode(prompt)
        method, arrays = self._parts(adapter)
        context = self.config.max_position_embeddings - method.positions
        room = context - len(tokens)
        if room < 1:
            raise ValueError(f"the prompt has {len(tokens)} tokens and the context {context}: shorten the prompt")
        most = min(length or USUAL_LENGTH, room)
        cache = cache_bytes(self.config, count * (len(tokens) + most), FLOAT32)
        refuse_beyond(cache, f"the keys and values of {count:,} texts", "take a smaller count, several times")
        rows = np.tile(tokens, (count, 1))  # (count, T)
        sites = method.sites(self.config, arrays, ops.choose())
        stop = ord("\n") if self.tokenizer is None else self.tokenizer.stop
        out = generate(self.config, self.weights, rows, most, sites, seed, temperature, top_k, top_p, stop)
        texts = [prompt + self.decode(row, len(tokens)) for row in out]
        return texts if count > 1 else texts[0]

    def held_out_loss(self, corpus, adapter=None, rows=64):
        """The loss on a corpus's held-out text -> nats a token, and how far that is above the generator's own (None if unknown)."""
        corpus, rows = self.corpus(corpus), whole("rows", rows)
        method, arrays = self._parts(adapter)
        inputs, targets = corpus.held_out(rows, self.config.max_position_embeddings - method.positions)  # (rows, T) each
        with workers(2) as pool:
            loss = evaluate(pool, self.config, self.weights, method, arrays, ops.choose(), inputs, targets)
        entropy = corpus.entropy(rows)
        return loss, None if entropy is None else loss - entropy

    def save(self, folder):
        """Write a Hugging Face folder (config.json, model.safetensors, and tokenizer.json where it has one)."""
        huggingface.save_model(folder, self.config, self.weights, self.tokenizer)

    def _parts(self, adapter):
        """The method and the arrays of an adapter, or of none. ValueError for one that does not fit, and for one that is only named."""
        if adapter is None:
            return Method(), {}
        refuse_other(adapter)
        if adapter.config != self.config:
            raise ValueError(f"the adapter was trained on {adapter.base_name}, whose shape differs from {self.name}'s: load that base")
        return adapter.method, adapter.arrays


def find(name):
    """The folder of a base that comes with the package, or the one at a path; None if there is none."""
    folder = SHIPPED / name if isfile(SHIPPED / name / "config.json") else Path(name)
    return folder if isdir(folder) else None  # False for what is too long for a path; Path.is_dir fails there


def load(name="stories-base"):
    """A base that comes with the package, or the Hugging Face folder at a path. FileNotFoundError or ValueError if there is none."""
    folder = find(name)
    if folder is None:
        shipped = ", ".join(sorted(path.name for path in SHIPPED.iterdir()))
        raise FileNotFoundError(f"there is no base called {short(name)} and no folder of that name; with the package come: {shipped}")
    config, weights = huggingface.load_base(folder)
    return Base(str(name), config, weights, read_tokenizer(folder, config.vocab_size))  # the name by which it is found again


def _recipe(dials, learning_rate):
    """A Recipe with these dials. ValueError, naming the closest, for one that there is not."""
    names = Recipe.__dataclass_fields__
    if unknown := [dial for dial in dials if dial not in names]:
        closest = get_close_matches(unknown[0], names, n=1, cutoff=0)[0]
        raise ValueError(f"a recipe has no {unknown[0]!r}; the closest is {closest!r}. There are {', '.join(names)}")
    return Recipe(**{"learning_rate": learning_rate, **dials})


def finetune(base, method, corpus, folder=None, resume=False, progress=True, num_workers=2, **recipe):
    """Adapt the base to a corpus -> Adapter. `corpus` is a name or a path; `recipe` sets fields of Recipe.

    With a `folder`, checkpoints are kept in it, from which `resume=True` goes on. The result does not depend on `num_workers`.
    """
    refuse_name(base, "load(name)")
    if not isinstance(method, Method):
        raise ValueError(f"{short(method)} is not a method with its dials: make one, as LoRA(rank=4)")
    if not method.shapes(base.config):
        raise ValueError(f"{method.name} has no targets, so that nothing would train: name some, as targets='all-linear'")
    recipe = _recipe(recipe, method.learning_rate)
    run = train(base.config, base.weights, method, base.corpus(corpus), recipe, ops.choose(), folder, resume, num_workers, progress)
    return Adapter(method, run.arrays, base.config, base.name, run.log, base.tokenizer)


def pretrain(name, config, corpus, folder=None, resume=False, progress=True, **recipe):
    """Train all weights of a new model from random ones -> Base, and the log of its training."""
    recipe = _recipe(recipe, Full.learning_rate)
    weights = model.init(config, np.random.default_rng(recipe.seed))
    run = train(config, weights, Full(), corpora.load(corpus), recipe, ops.choose(), folder, resume, progress=progress)
    return Base(name, config, {name: np.array(run.arrays[name]) for name in config.shapes()}), run.log


def load_base_of(folder):
    """The base that the adapter in a PEFT folder names. ValueError if it names none."""
    name = peft.read_settings(folder).get("base_model_name_or_path")
    if not name:
        raise ValueError(f"{folder} does not say what base it is for: load one and name it")
    if find(name) is None:
        advice = "name the folder where it is, by --base or load_adapter(folder, base)"
        raise FileNotFoundError(f"{folder} is for the base {short(name)}, which is not here by that name: {advice}")
    return load(name)


def load_adapter(folder, base=None):
    """The adapter in a PEFT folder, for a base (by default the one that the folder names). Raises ValueError where they do not fit.

    Warns of a base that has another name than the folder's.
    """
    if base is None:
        base = load_base_of(folder)
    refuse_name(base, "load(name)")
    return read_adapter(folder, base)
