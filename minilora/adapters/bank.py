"""The base is loaded once; the small adapters come and go.

A Bank holds a base and any number of adapters by name. Activating one is a change of pointer, whatever the size of the model and however
many there are. The base's arrays are never written to, so that to detach an adapter, or to undo a merge, is exact to the bit.
"""

import time
from contextlib import contextmanager

import numpy as np

from minilora.adapters.adapter import note_another_base, read_adapter, refuse_name, refuse_other
from minilora.adapters.mixed import mixed_sites
from minilora.methods import Method


class Bank:
    """Adapters, by name, on a base: something with a `config` and `weights`, name -> array."""

    def __init__(self, base):
        refuse_name(base, "load(name)")
        self.base = base
        self.adapters = {}
        self.seconds = {}  # name -> how long it took to read from the disk, of those that were
        self.active = None
        self.merged = None
        self.weights = base.weights

    def attach(self, name, adapter):
        """Add an adapter under a name. ValueError if the name is taken or the adapter was made for another shape of base.

        Warns of an adapter that was trained on a base of another name.
        """
        if name in self.adapters:
            raise ValueError(f"there is an adapter {name!r} already: detach it first, or choose another name")
        refuse_other(adapter)
        if adapter.config != self.base.config:
            raise ValueError(f"{name!r} was trained on {adapter.base_name}, whose shape differs from {self.base.name}'s: load that base")
        note_another_base(repr(name), adapter.base_name, self.base)
        self.adapters[name] = adapter

    def load(self, name, folder):
        """Read an adapter from a PEFT folder and attach it; the base stays where it is. ValueError as `attach`, and for a broken file."""
        began = time.perf_counter()
        self.attach(name, read_adapter(folder, self.base))
        self.seconds[name] = time.perf_counter() - began

    def detach(self, name):
        """Forget an adapter, and free its memory. ValueError if it is not there or is merged; if it was active, the base is."""
        self._find(name)
        if self.merged == name:
            raise ValueError(f"{name!r} is merged: unmerge it first")
        del self.adapters[name]
        self.seconds.pop(name, None)
        if self.active == name:
            self.active = None

    def activate(self, name):
        """Let the adapter `name` speak from now on; None is the base. ValueError if it is not there, or one is merged."""
        if name is not None:
            self._find(name)
        if self.merged is not None:
            raise ValueError(f"{self.merged!r} is merged into the weights: unmerge it before another is activated")
        self.active = name

    @contextmanager
    def without(self):
        """The base alone, for the length of a with-block; afterwards all is as it was."""
        kept = self.active, self.merged, self.weights
        self.active, self.merged, self.weights = None, None, self.base.weights
        try:
            yield self
        finally:
            self.active, self.merged, self.weights = kept

    def merge(self, name):
        """Put an adapter into new weights, which then cost what the base costs. The base stays beside them. ValueError if one is merged."""
        adapter = self._find(name)
        if self.merged is not None:
            raise ValueError(f"{self.merged!r} is merged already: to merge twice would add its update twice; unmerge it first")
        self.weights = adapter.method.merge(self.base.config, self.base.weights, adapter.arrays)
        self.active, self.merged = None, name

    def unmerge(self):
        """Back to the base's own arrays: exact, since nothing is subtracted."""
        self.weights, self.merged = self.base.weights, None

    def sites(self, ops):
        """The plug-in points of the active adapter, or of none."""
        if self.active is None:
            return Method().sites(self.base.config, {}, ops)
        adapter = self.adapters[self.active]
        return adapter.method.sites(self.base.config, adapter.arrays, ops)

    def mixed_sites(self, names, ops):
        """The plug-in points for a batch whose row i uses the adapter names[i]; None is the base. ValueError for one that is not there."""
        if self.merged is not None:
            raise ValueError(f"{self.merged!r} is merged into the weights: unmerge it before adapters are mixed")
        return mixed_sites(self.base.config, [None if name is None else self._find(name) for name in names], ops)

    def status(self):
        """A row for each adapter: name, method, rank, scale, targets (modules), bytes, active, merged, seconds to load (None: not read)."""
        return [self._row(name, adapter) for name, adapter in self.adapters.items()]

    def _row(self, name, adapter):
        method = adapter.method
        scales = method.scales(self.base.config) if hasattr(method, "scales") else {}
        return {
            "name": name,
            "method": method.name,
            "rank": getattr(method, "rank", None),
            "scale": sorted(set(scales.values())),
            "targets": len(scales),
            "bytes": sum(array.nbytes for array in map(np.asarray, adapter.arrays.values())),
            "active": name == self.active,
            "merged": name == self.merged,
            "seconds": self.seconds.get(name),
        }

    def _find(self, name):
        if name not in self.adapters:
            raise ValueError(f"there is no adapter {name!r}; there are {', '.join(sorted(self.adapters)) or 'none'}")
        return self.adapters[name]
