"""The arrays that tests/test_golden.py trusts are still what PyTorch, transformers and PEFT compute."""

import comparison
import write_golden

from minilora.files.safetensors import load_arrays


def test_the_golden_arrays_are_what_pytorch_computes():
    golden, _ = load_arrays(write_golden.FOLDER / "expected.safetensors")
    comparison.assert_agree(golden, write_golden.expected(), 1e-12)
