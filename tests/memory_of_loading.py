"""How much memory does load_base take at its peak? Measured by Linux, in a process of its own."""

import subprocess
import sys

CODE = """
import sys
from pathlib import Path
from minilora.files.huggingface import load_base

def peak():  # kB that were resident at once, of mapped files too
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

before = peak()
config, weights = load_base(sys.argv[1])
print(1024 * (peak() - before) / sum(W.nbytes for W in weights.values()))
"""


def growth(folder):
    """The growth of the peak above what the imports took, in multiples of the float32 model."""
    done = subprocess.run([sys.executable, "-c", CODE, folder], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)
