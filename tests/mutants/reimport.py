"""Import minilora and its tests as a new interpreter would, with one file's source replaced."""

import sys
from contextlib import contextmanager
from importlib.machinery import ModuleSpec

import numba


class Source:
    """The finder and loader of one module from a given source."""

    def __init__(self, name, source):
        self.name, self.source = name, source

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name == self.name else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(compile(self.source, self.name, "exec"), vars(module))


@contextmanager
def reimported(file, source):
    """Within, minilora and its tests are imported anew, with `source` in place of the file's own. -> the file's module name

    The kernels are imported anew only where one of them is edited, and then their loops run as plain Python: nothing is compiled.
    """
    name = "minilora." + file.removesuffix(".py").replace("/", ".")
    plain = name.startswith("minilora.kernels.")
    same = "minilora.kernels.compile" if plain else "minilora.kernels."
    kept = {old: module for old, module in sys.modules.items() if old.startswith(("minilora", "test_")) and not old.startswith(same)}
    for old in kept:
        del sys.modules[old]
    finder = Source(name, source)
    sys.meta_path.insert(0, finder)
    numba.config.DISABLE_JIT = plain
    try:
        yield name
    finally:
        numba.config.DISABLE_JIT = False
        sys.meta_path.remove(finder)
        for new in [new for new in sys.modules if new.startswith(("minilora", "test_")) and not new.startswith(same)]:
            del sys.modules[new]
        sys.modules.update(kept)
