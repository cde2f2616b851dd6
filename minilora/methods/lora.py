"""LoRA at the sites of the transformer: lowrank.py applied to chosen linear layers, the embedding and the head.

Source: Hu et al. 2021, arXiv 2106.09685. An adapted module m owns m.lora_A (d, r) and m.lora_B (r, k). For the embedding d is the
vocabulary: the lookup is a product with one-hot rows, so that x A is a row of A, and A starts at zero and B random, as in PEFT.
"""

import warnings
from dataclasses import dataclass, field, fields
from numbers import Real

import numpy as np

from minilora import layers, lowrank
from minilora.counting import whole
from minilora.methods.base import Method
from minilora.methods.patterns import matches_end
from minilora.methods.targets import by_pattern, from_peft_targets, modules, resolve, shortest
from minilora.transformer.sites import Sites, add_grad

EMBEDDING = "model.embed_tokens"


class LoRASites(Sites):
    """Linear layers and the embedding with their pairs; a module without a pair is the base's."""

    def __init__(self, arrays, scales, ops, dropout=0.0, rng=None):
        super().__init__(arrays, ops)
        self.scales, self.dropout, self.rng = scales, dropout, rng

    def pair(self, name):
        return self.arrays[f"{name}.lora_A"], self.arrays[f"{name}.lora_B"], self.scales[name]  # (d, r), (r, k), s

    def linear_forward(self, name, x, W):
        if name not in self.scales:
            return super().linear_forward(name, x, W)
        mask = lowrank.dropout_mask(x.shape, self.dropout, self.rng, x.dtype.type) if self.dropout and self.rng else None
        return self.ops.lowrank_forward(x, W, *self.pair(name), mask)  # (N, k)

    def linear_backward(self, name, dy, W, cache, grads, into=None, need_dx=True):
        if name not in self.scales:
            return super().linear_backward(name, dy, W, cache, grads, into, need_dx)
        dx, dA, dB = self.ops.lowrank_backward(dy, cache, into, need_dx)
        add_grad(grads, f"{name}.lora_A", dA)
        add_grad(grads, f"{name}.lora_B", dB)
        return dx  # (N, d)

    def embedding_forward(self, tokens, E):
        x, cache = super().embedding_forward(tokens, E)  # (N, d)
        if EMBEDDING not in self.scales:
            return x, cache
        A, B, s = self.pair(EMBEDDING)
        z = A[tokens]  # (N, r)                             onehot(tokens) A
        return x + s * (z @ B), (cache, tokens, z)  # (N, d)

    def embedding_backward(self, dx, cache, grads):
        if EMBEDDING not in self.scales:
            return
        _, tokens, z = cache
        A, B, s = self.pair(EMBEDDING)
        dz = s * (dx @ B.T)  # (N, r)                       x = E[tokens] + s z B
        add_grad(grads, f"{EMBEDDING}.lora_B", s * (z.T @ dx))  # (r, d)
        add_grad(grads, f"{EMBEDDING}.lora_A", layers.embedding_backward(dz, (tokens, A.shape)))  # (V, r)    z = A[tokens]


@dataclass(frozen=True)
class LoRA(Method):
    """Rank, alpha and target modules, the three dials; rank_pattern and alpha_pattern set them apart for modules that match a pattern."""

    rank: int = 8
    alpha: float = 16.0
    targets: str | tuple = "all-linear"
    rslora: bool = False
    dropout: float = 0.0
    init_scheme: str = "uniform"
    rank_pattern: dict = field(default_factory=dict)
    alpha_pattern: dict = field(default_factory=dict)

    name = "lora"

    def __post_init__(self):
        object.__setattr__(self, "rank", whole("rank", self.rank))  # np.arange gives numbers that are not Python's own
        if not isinstance(self.alpha, Real):
            raise ValueError(f"alpha is {self.alpha!r}, it must be a number")
        if not isinstance(self.targets, str | list | tuple):
            raise ValueError(f"targets are {self.targets!r}: give a name, as 'all-linear', or a list of names")

    def ranks(self, config):
        """Adapted module -> its rank. Raises ValueError for a target that matches nothing or a rank that does not fit."""
        ranks = {}
        for name, (d, k) in resolve(self.targets, config).items():
            r = ranks[name] = by_pattern(self.rank_pattern, name, self.rank)
            if not 1 <= r <= min(d, k):
                raise ValueError(f"rank {r} is outside 1..{min(d, k)} for {name} ({d} x {k}): choose a rank in that range")
        return ranks

    def scales(self, config):
        """Adapted module -> s."""
        return {
            name: lowrank.scale(by_pattern(self.alpha_pattern, name, self.alpha), r, self.rslora) for name, r in self.ranks(config).items()
        }

    def init(self, config, base, rng):
        arrays, shapes, costly, ranks = {}, resolve(self.targets, config), [], self.ranks(config)
        for pattern in {**self.rank_pattern, **self.alpha_pattern}:
            if not any(matches_end(pattern, name) for name in ranks):
                warnings.warn(f"the pattern {pattern!r} matches no module that is adapted", stacklevel=2)
        for name, r in ranks.items():
            d, k = shapes[name]
            dtype = base[f"{name}.weight"].dtype
            A, B = lowrank.init(d, k, r, rng, self.init_scheme, dtype)  # (d, r), (r, k)
            if name == EMBEDDING:
                A, B = np.zeros_like(A), rng.standard_normal((r, k)).astype(dtype)
            arrays[f"{name}.lora_A"], arrays[f"{name}.lora_B"] = A, B
            if r * (d + k) > d * k:
                costly.append(f"{name}: {r} x ({d} + {k}) = {r * (d + k):,} numbers for a matrix of {d * k:,}")
        if costly:
            warnings.warn(f"rank above break-even d k / (d + k), the pair is larger than the matrix ({costly[0]})", stacklevel=2)
        return arrays

    def sites(self, config, arrays, ops=None, rng=None):
        return LoRASites(arrays, self.scales(config), ops, self.dropout, rng)

    def shapes(self, config):
        shapes, available = {}, modules(config)
        for name, r in self.ranks(config).items():
            d, k = available[name]
            shapes |= {f"{name}.lora_A": (d, r), f"{name}.lora_B": (r, k)}
        return shapes

    def count(self, config):
        """The sum of r (d + k) over the adapted modules."""
        shapes = resolve(self.targets, config)
        return sum(r * sum(shapes[name]) for name, r in self.ranks(config).items())

    def merge(self, config, base, arrays):
        weights = dict(base)
        for name, s in self.scales(config).items():
            weights[f"{name}.weight"] = lowrank.merge(base[f"{name}.weight"], arrays[f"{name}.lora_A"], arrays[f"{name}.lora_B"], s)
        return weights

    def update_factors(self, config, arrays):
        lora, pairs = self.exported(config, arrays)
        return {name: (pairs[f"{name}.lora_A"], s * pairs[f"{name}.lora_B"]) for name, s in lora.scales(config).items()}  # (d, r), (r, k)

    peft_type = "LORA"

    def exported(self, config, arrays):
        return LoRA(**{dial.name: getattr(self, dial.name) for dial in fields(LoRA)}), arrays

    @classmethod
    def reads(cls, settings):
        return super().reads(settings) and not settings.get("use_dora")

    def peft_settings(self, config):
        return {
            "r": self.rank,
            "lora_alpha": self.alpha,
            "target_modules": shortest(resolve(self.targets, config), config),
            "rank_pattern": self.rank_pattern,
            "alpha_pattern": self.alpha_pattern,
            "use_rslora": self.rslora,
            "lora_dropout": self.dropout,
            "init_lora_weights": True if self.init_scheme == "uniform" else self.init_scheme,
            "bias": "none",
            "fan_in_fan_out": False,
            "use_dora": False,
            "layers_to_transform": None,
            "layers_pattern": None,
            "modules_to_save": None,
        }

    @classmethod
    def from_peft(cls, settings, config):
        for kind in ("rank_pattern", "alpha_pattern"):
            for pattern in settings.get(kind) or {}:
                if not any(matches_end(pattern, name) for name in modules(config)):
                    warnings.warn(f"the {kind} {pattern!r} matches no module of this base", stacklevel=2)
        return cls(
            rank=settings.get("r", 8),
            alpha=settings.get("lora_alpha", 8),
            targets=from_peft_targets(settings, config),
            rslora=settings.get("use_rslora", False),
            dropout=settings.get("lora_dropout", 0.0),
            init_scheme="gaussian" if settings.get("init_lora_weights") == "gaussian" else "uniform",
            rank_pattern=settings.get("rank_pattern") or {},
            alpha_pattern=settings.get("alpha_pattern") or {},
        )

    def peft_names(self, config):
        names = {}
        for name in self.ranks(config):
            form = "lora_embedding_{}" if name == EMBEDDING else "lora_{}.weight"
            names |= {f"{name}.lora_{part}": f"{name}.{form.format(part)}" for part in "AB"}
        return names
