"""Any method, and beside it some modules of the base that train whole, as copies: what PEFT calls modules_to_save.

A task that brings new words often trains the embedding or the head in full, while the rest of the model has its pairs. The model finds a
copy by its name, as in full fine-tuning, so that the method's own sites need not know.
"""

from dataclasses import dataclass

import numpy as np

from minilora.methods.base import Method


def module_of(name):
    """ "model.norm.weight" -> "model.norm"."""
    return name.rpartition(".")[0]


def saved_modules(entries, config):
    """The modules that PEFT's modules_to_save names: all whose name ends with an entry. ValueError for an entry that names none."""
    available = list(dict.fromkeys(module_of(name) for name in config.shapes()))
    for entry in entries:
        if not any(name.endswith(entry) for name in available):
            leaves = sorted({name.rsplit(".", 1)[-1] for name in available})
            raise ValueError(f"modules_to_save names {entry!r}, which matches no module of this base; there are: {', '.join(leaves)}")
    return tuple(name for name in available if name.endswith(tuple(entries)))


@dataclass(frozen=True)
class WithCopies(Method):
    """A method and the full names of modules, as "lm_head".

    Raises ValueError for a module that there is not, that the method adapts as well, or that is both the embedding and the head.
    """

    method: Method
    modules: tuple

    @property
    def name(self):
        return f"{self.method.name} with copies"

    @property
    def learning_rate(self):
        return self.method.learning_rate

    @property
    def positions(self):
        return self.method.positions

    @property
    def detached(self):
        return self.method.detached

    def own(self, arrays):
        """The method's arrays alone."""
        return {name: array for name, array in arrays.items() if module_of(name) not in self.modules}

    def copies(self, config):
        """Name -> shape of the arrays that train whole."""
        shapes = {name: shape for name, shape in config.shapes().items() if module_of(name) in self.modules}
        there = {module_of(name) for name in shapes}
        if missing := [name for name in self.modules if name not in there]:
            tied = config.tie_word_embeddings and missing[0] == "lm_head"
            raise ValueError(f"there is no module {missing[0]!r} to copy" + (": this model's head is its embedding" if tied else ""))
        if config.tie_word_embeddings and "model.embed_tokens" in there:
            raise ValueError("a copy of model.embed_tokens would untie it from the head of this model: leave it out")
        if both := [name for name in self.method.shapes(config) if any(name.startswith(f"{module}.") for module in self.modules)]:
            raise ValueError(f"{module_of(both[0])} is copied and adapted by {self.method.name}: choose one of the two")
        return shapes

    def init(self, config, base, rng):
        return {**self.method.init(config, base, rng), **{name: np.array(base[name]) for name in self.copies(config)}}

    def sites(self, config, arrays, ops=None, rng=None):
        return self.method.sites(config, arrays, ops, rng)

    def trainable(self, arrays):
        own = self.own(arrays)
        return [*self.method.trainable(own), *(name for name in arrays if name not in own)]

    def learning_rates(self, arrays):
        return {**dict.fromkeys(arrays, 1.0), **self.method.learning_rates(self.own(arrays))}

    def penalty(self, arrays, grads):
        return self.method.penalty(self.own(arrays), grads)

    def after_step(self, arrays, grads, step, steps):
        self.method.after_step(self.own(arrays), grads, step, steps)

    def shapes(self, config):
        return {**self.method.shapes(config), **self.copies(config)}

    def count(self, config):
        """The method's count, and the sizes of the copies."""
        return self.method.count(config) + sum(int(np.prod(shape)) for shape in self.copies(config).values())

    def merge(self, config, base, arrays):
        copies = {name: arrays[name] for name in self.copies(config)}
        return {**self.method.merge(config, base, self.own(arrays)), **copies}

    @property
    def peft_type(self):
        return self.method.peft_type

    def peft_settings(self, config):
        leaves = sorted({name.rsplit(".", 1)[-1] for name in self.modules})
        short = set(saved_modules(leaves, config)) == set(self.modules)
        return {**self.method.peft_settings(config), "modules_to_save": leaves if short else sorted(self.modules)}

    def exported(self, config, arrays):
        method, own = self.method.exported(config, self.own(arrays))
        return WithCopies(method, self.modules), {**own, **{name: arrays[name] for name in self.copies(config)}}

    def peft_names(self, config):
        return {**self.method.peft_names(config), **{name: name for name in self.copies(config)}}
