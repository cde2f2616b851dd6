"""What a method owns: its arrays, its sites, its learning rates, penalty and step hook, its count and its merge.

A method is a frozen description (a dataclass); its arrays live in a dictionary beside it. Every hook has a default that does nothing.
"""

from minilora.transformer.sites import Sites


class Method:
    """A way to adapt a frozen base. Subclasses are frozen dataclasses in a file of their own."""

    name = "method"
    learning_rate = 1e-2  # where a search should begin
    positions = 0  # of the context, that the method takes for itself
    detached = False  # whether its backward holds constant what its sites computed from the arrays when they were first used

    def init(self, config, base, rng):
        """The arrays at the start, name -> array. Sees the base's weights and may not change them."""
        raise NotImplementedError

    def sites(self, config, arrays, ops=None, rng=None):
        """The plug-in points, bound to the arrays as they are now. `rng` is given while training: dropout draws from it."""
        return Sites(arrays, ops)

    def trainable(self, arrays):
        """The names of the arrays that train: all of them, unless some are frozen."""
        return list(arrays)

    def learning_rates(self, arrays):
        """Name -> multiple of the learning rate."""
        return dict.fromkeys(arrays, 1.0)

    def penalty(self, arrays, grads):
        """A term that is added to the loss; its gradient is added to `grads`."""
        return 0.0

    def after_step(self, arrays, grads, step, steps):
        """Called after each optimiser step, with the arrays to be changed in place."""

    def shapes(self, config):
        """Array name -> shape, of all that a forward pass reads."""
        raise NotImplementedError

    def count(self, config):
        """The number of trainable parameters, by formula."""
        raise NotImplementedError

    # Its place in PEFT's format: what it is called there, its settings, and the names of its arrays (files/peft.py turns them round).

    peft_type = None

    def peft_settings(self, config):
        """What adapter_config.json says about the method."""
        raise NotImplementedError

    def exported(self, config, arrays):
        """The method and arrays that are written in this one's place: a relative of LoRA is a LoRA when it is done training."""
        return self, arrays

    @classmethod
    def reads(cls, settings):
        """Whether an adapter_config.json is this method's to read; the first in the registry that says so reads it."""
        return cls.peft_type is not None and settings.get("peft_type") == cls.peft_type

    @classmethod
    def from_peft(cls, settings, config):
        """The method that adapter_config.json describes. Raises ValueError for a setting that is not supported."""
        raise NotImplementedError

    def peft_names(self, config):
        """Array name -> its name in adapter_model.safetensors, without the prefix."""
        raise NotImplementedError

    def update_factors(self, config, arrays):
        """Module -> A (d, r), B (r, k) whose product is its update; empty for a method whose updates are no such products."""
        return {}

    def changes_nothing(self, config, arrays):
        """Whether every update is zero, as far as the arrays alone can tell."""
        products = self.update_factors(config, arrays).values()
        return bool(products) and not any((A.any(axis=0) & B.any(axis=1)).any() for A, B in products)

    def merge(self, config, base, arrays):
        """New weights that behave as base and arrays together. Raises ValueError where there are none."""
        raise ValueError(f"{self.name} cannot be merged into the weights of the base")
