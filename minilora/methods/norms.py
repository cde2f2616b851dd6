"""Norm tuning: only the gains of the norms train.

Source: Zhao et al. 2024, arXiv 2312.11420. dgain is the sum over tokens of dy x / rms(x); the model computes it for any gain that is among
the arrays. PEFT calls it LN tuning.
"""

from dataclasses import dataclass

from minilora.methods.full import Copies
from minilora.methods.patterns import matches
from minilora.methods.targets import named


@dataclass(frozen=True)
class Norms(Copies):
    """The gain before each attention, before each MLP, and before the head: (2 L + 1) d numbers."""

    name = "norms"
    learning_rate = 1e-1

    def shapes(self, config):
        return {name: shape for name, shape in config.shapes().items() if name.endswith("norm.weight")}

    peft_type = "LN_TUNING"

    def peft_settings(self, config):
        return {"target_modules": sorted({name.split(".")[-2] for name in self.shapes(config)}), "modules_to_save": None}

    @classmethod
    def from_peft(cls, settings, config):
        wanted = settings.get("target_modules")
        for name in cls().shapes(config) if wanted is not None else ():
            module = name.removesuffix(".weight")
            if not (matches(wanted, module) if isinstance(wanted, str) else named(module, wanted)):
                raise ValueError(f"target_modules {wanted!r} leaves out {module}, and only all norms together are supported")
        return cls()

    def peft_names(self, config):
        return {name: name.replace(".weight", ".ln_tuning_layers.weight") for name in self.shapes(config)}
