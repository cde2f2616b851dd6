"""The safetensors reader: what the format's own library writes is read to the bit, mapped; a header that lies is refused."""

import json

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load, save

from minilora.files.safetensors import DTYPES, digest, load_arrays, serialise

RNG = np.random.default_rng(0)
FLOATS = RNG.normal(size=(2, 3)).astype(np.float32)


def write(path, header, numbers=b""):
    """A file with a header, given as an object or as bytes, and what follows it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + numbers)
    return path


def entry(dtype="F32", shape=(2, 3), offsets=(0, 24)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_what_the_library_writes_is_read_to_the_bit_and_mapped(tmp_path):
    arrays = {name: np.frombuffer(RNG.bytes(48), dtype).reshape(2, -1) for name, dtype in DTYPES.items() if name != "BOOL"}
    arrays |= {"BOOL": np.array([True, False]), "scalar": np.array(3.0), "empty": np.zeros((0, 5), np.float32)}
    (tmp_path / "a").write_bytes(save(arrays, {"format": "pt", "more": "text"}))
    found, metadata = load_arrays(tmp_path / "a")
    assert metadata == {"format": "pt", "more": "text"} and found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
        assert not array.size or not found[name].flags.writeable and not found[name].flags.owndata


def test_numbers_at_an_odd_address_are_read(tmp_path):
    header = json.dumps({"x": entry()}).encode()
    found, _ = load_arrays(write(tmp_path / "a", header + b" " * (1 + -len(header) % 8), FLOATS.tobytes()))
    assert np.array_equal(found["x"], FLOATS) and found["x"].flags.aligned


def test_nothing_is_a_file_too(tmp_path):
    assert load_arrays(write(tmp_path / "a", {})) == ({}, {})


@pytest.mark.parametrize(
    ("header", "numbers", "message"),
    [
        (b"", b"", r"Expecting value: line 1"),
        (b"[]", b"", r"its header is \[\] and not an object with a name for each array"),
        (b'{"x": 1, "x": 2}', b"", "'x' stands there twice"),
        (b"[" * 100_000, b"", "it is nested too deeply"),
        (b"\xff\xfe", b"", "codec can't decode byte 0xff"),
        ({"__metadata__": {"format": 1}}, b"", r"its __metadata__ is \{'format': 1\} and not made of texts"),
        ({"x": entry()}, bytes(23), "its header tells of 24 bytes of numbers and it has 23"),
        ({"x": entry()}, bytes(25), "its header tells of 24 bytes of numbers and it has 25"),
        ({"x": entry(), "y": entry()}, bytes(24), "'y' begins at byte 0, and what is before it ends at 24"),
        ({"x": entry(offsets=(8, 32))}, bytes(32), "'x' begins at byte 8, and what is before it ends at 0"),
        ({"x": entry(), "y": entry(offsets=(32, 56))}, bytes(56), "'y' begins at byte 32, and what is before it ends at 24"),
        ({"x": entry(shape=(2, 4))}, bytes(24), r"'x', F32 of shape \(2, 4\), takes 32 bytes and has 24"),
        ({"x": entry(shape=(10**12,))}, bytes(24), r"'x', F32 of shape \(1000000000000,\), takes 4,000,000,000,000 bytes and has 24"),
        ({"x": entry(shape=(2**62, 0), offsets=(0, 0))}, b"", r"'x' has the shape \[4611686018427387904, 0\], and no array has"),
        ({"x": entry(shape=(1,) * 70, offsets=(0, 4))}, bytes(4), "'x' has the shape .*, and no array has"),
        ({"x": entry(shape=(-2, -3))}, bytes(24), r"'x' has the shape \[-2, -3\], and no array has"),
        ({"x": entry(shape=(2.0, 3))}, bytes(24), r"'x' has the shape \[2.0, 3\], and no array has"),
        ({"x": entry(shape=(True, 6))}, bytes(24), r"'x' has the shape \[True, 6\], and no array has"),
        ({"x": entry(offsets=(24, 0))}, bytes(24), r"takes 24 bytes and has -24"),
        ({"x": entry(offsets=(0, 24, 0))}, bytes(24), r"'x' has the data_offsets \[0, 24, 0\], and they are not two places in a file"),
        ({"x": entry(offsets=(0, "24"))}, bytes(24), r"'x' has the data_offsets \[0, '24'\], and they are not two places in a file"),
        ({"x": entry(dtype="F8_E4M3")}, bytes(6), "'x' has the dtype 'F8_E4M3', and those that are read are F64, F32, "),
        ({"x": entry(dtype=["F32"])}, bytes(24), r"'x' has the dtype \['F32'\], and those that are read are F64, F32, "),
        ({"x": {"dtype": "F32", "shape": [6]}}, bytes(24), "'x' has not a dtype, a shape and data_offsets but {'dtype': 'F32', "),
        ({"x": None}, b"", "'x' has not a dtype, a shape and data_offsets but None"),
    ],
)
def test_a_header_that_lies_is_refused(header, numbers, message, tmp_path):
    path = write(tmp_path / "a", header, numbers)
    with pytest.raises(ValueError, match=message) as error:
        load_arrays(path)
    text = str(error.value)
    assert text.startswith(f"{path} is not a safetensors file (") and text.endswith("): was it copied as a whole?") and "\n" not in text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty: was it copied as a whole?"),
        (b"\x00\x00", "its header would end at byte 8 of 2"),
        (b"\xff" * 8, "its header would end at byte 18,446,744,073,709,551,623 of 8"),
        ((2**40).to_bytes(8, "little") + b"{}", "its header would end at byte 1,099,511,627,784 of 10"),
    ],
)
def test_a_file_that_is_shorter_than_its_header_is_refused(data, message, tmp_path):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        load_arrays(tmp_path / "a")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file .*: check the path"):
        load_arrays(tmp_path)


def test_the_digest_knows_names_dtypes_shapes_and_bits():
    arrays = {"a": FLOATS, "b": FLOATS[0]}
    others = [
        {"a": FLOATS},
        {"a": FLOATS, "c": FLOATS[0]},
        {"a": FLOATS.reshape(3, 2), "b": FLOATS[0]},
        {"a": FLOATS.view(np.int32), "b": FLOATS[0]},
        {"a": np.nextafter(FLOATS, 9), "b": FLOATS[0]},
    ]
    assert len({digest(each) for each in (arrays, *others)}) == 6
    assert digest(arrays) == digest({"b": FLOATS[0].copy(), "a": np.asfortranarray(FLOATS)})
    assert digest({"a": np.ones(2, ml_dtypes.bfloat16)}) != digest({"a": np.ones(2, np.float16)})


def test_what_is_written_is_read_by_the_formats_own_library_and_does_not_depend_on_the_order():
    arrays = {"b": np.arange(6, dtype=np.float32).reshape(2, 3).T, "a": np.ones(3, np.float16), "none": np.zeros((0, 3))}
    data = serialise(arrays, {"format": "pt", "by": "hand"})
    assert data == serialise(dict(reversed(arrays.items())), {"by": "hand", "format": "pt"})
    read = load(data)
    assert read.keys() == arrays.keys() and all(np.array_equal(read[name], array) for name, array in arrays.items())
