"""Arrays in the safetensors format: eight bytes with the length of a header, the header in JSON, then the numbers.

    {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..., "__metadata__": {"format": "pt"}}

The offsets count from the end of the header. A file is mapped, so that an array is a read-only view of it and no number is copied. Nothing
that the header says is believed before it agrees with the size of the file: the arrays lie one behind the other, without overlap or gap.

Source: the format's description, github.com/huggingface/safetensors. Left out: 8-bit floats, and everything narrower.
"""

import hashlib
import json
import math
import mmap
from pathlib import Path

import ml_dtypes
import numpy as np

from minilora.files.strict_json import parse_json, short

DTYPES = {
    **{"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16, "BOOL": np.bool_},
    **{"I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8},
    **{"U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8},
}
LONGEST_HEADER = 100_000_000  # bytes; the format's own library stops there too
MOST_AXES = 8


def load_arrays(path):
    """-> name -> read-only array, a view of the mapped file; and the metadata, name -> text.

    Raises FileNotFoundError, or ValueError where the file is not in the format from its first byte to its last.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: check the path")
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty: was it copied as a whole?")
    with open(path, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        entries, metadata, start = read_header(mapped)
    except ValueError as error:
        raise ValueError(f"{path} is not a safetensors file ({error}): was it copied as a whole?") from None
    return {name: _view(mapped, start + begin, dtype, shape) for name, (dtype, shape, begin, _) in entries.items()}, metadata


def serialise(arrays, metadata):
    """The bytes of a file with name -> array and metadata, name -> text; the same for the same contents, whatever their order.

    The format's own library writes the metadata in an order that changes from run to run, so that two files could not be compared.
    """
    kinds = {np.dtype(dtype): kind for kind, dtype in DTYPES.items()}
    names = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))  # the widest first: each then lies aligned
    header, end = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}, 0
    for name in names:
        begin, end = end, end + arrays[name].nbytes
        header[name] = {"dtype": kinds[arrays[name].dtype], "shape": list(arrays[name].shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *(arrays[name].tobytes() for name in names)])


def read_header(data):
    """The header of a file's bytes -> name -> (dtype, shape, begin, end), the metadata, and where the numbers start.

    Raises ValueError for a header that is none, or does not agree with itself or with the number of bytes.
    """
    start = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or start > min(len(data), LONGEST_HEADER):
        raise ValueError(f"its header would end at byte {start:,} of {len(data):,}")
    header = parse_json(data[8:start])
    if not isinstance(header, dict):
        raise ValueError(f"its header is {short(header)} and not an object with a name for each array")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError(f"its __metadata__ is {short(metadata)} and not made of texts")
    entries = {name: _entry(short(name), value) for name, value in header.items()}
    reached = 0
    for name, (_, _, begin, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if begin != reached:
            raise ValueError(f"{short(name)} begins at byte {begin:,}, and what is before it ends at {reached:,}")
        reached = end
    if reached != len(data) - start:
        raise ValueError(f"its header tells of {reached:,} bytes of numbers and it has {len(data) - start:,}")
    return entries, metadata, start


def _entry(name, value):
    """-> dtype, shape, begin, end of one array, which agree with each other."""
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name} has not a dtype, a shape and data_offsets but {short(value)}")
    kind, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(kind, str) or kind not in DTYPES:
        raise ValueError(f"{name} has the dtype {short(kind)}, and those that are read are {', '.join(DTYPES)}")
    itemsize = np.dtype(DTYPES[kind]).itemsize
    whole = isinstance(shape, list) and len(shape) <= MOST_AXES and all(type(size) is int and size >= 0 for size in shape)
    if not whole or itemsize * math.prod(max(size, 1) for size in shape) >= 2**63:
        raise ValueError(f"{name} has the shape {short(shape)}, and no array has")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(offset) is int and offset >= 0 for offset in offsets):
        raise ValueError(f"{name} has the data_offsets {short(offsets)}, and they are not two places in a file")
    wanted, found = itemsize * math.prod(shape), offsets[1] - offsets[0]
    if found != wanted:
        raise ValueError(f"{name}, {kind} of shape {tuple(shape)}, takes {wanted:,} bytes and has {short(found)}")
    return DTYPES[kind], tuple(shape), *offsets


def _view(mapped, offset, dtype, shape):
    if 0 in shape:
        return np.zeros(shape, dtype)
    array = np.frombuffer(mapped, dtype, math.prod(shape), offset).reshape(shape)
    return np.require(array, requirements="A")  # a header may leave the numbers at an odd address: then they are copied


def digest(arrays):
    """A hash of the names, dtypes, shapes and bytes of arrays, in the orientation they have."""
    result = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        result.update(f"{name} {array.dtype} {array.shape} ".encode())
        result.update(array.reshape(-1).view(np.uint8))
    return result.hexdigest()
