"""Ways to spoil a file: bytes of any kind, JSON whose values are not what they should be, safetensors whose header lies."""

import copy
import json

ODD = [None, True, False, -1, 0, 1, 3, 2**31, 2**63, 10**30, 10**400, 1.5, -0.0, 1e308, float("nan"), float("inf")]
ODD += ["", "x" * 5000, "../../outside", "/etc/passwd", "a\nb", "\ud800", "\x00", "(a|a)*b", "(.*)*" * 50, "[", ".*", "all-linear"]
ODD += [[], {}, [[]], {"a": {"b": [1]}}, ["q_proj"] * 500, ["q_proj", 1], [-1], [10**20], {"q_proj": 1}, {"q_proj": "x"}, {"(": 1}]
KINDS = ["F32", "F64", "F16", "BF16", "I64", "I8", "U8", "BOOL", "F8_E4M3", "C64", "f32", ""]


def pick(rng, values):
    return values[rng.integers(len(values))]


def bytes_spoiled(data, rng):
    """A few bytes or bits of any file changed, cut off, taken out, doubled or added."""
    data = bytearray(data)
    start, length = int(rng.integers(len(data))), int(rng.integers(1, 40))
    match rng.integers(8):
        case 0:
            del data[start:]
        case 1:
            del data[start : start + length]
        case 2:
            data[start:start] = data[start : start + length]
        case 3:
            data[start:start] = rng.bytes(length)
        case 4:
            data[start : start + length] = pick(rng, [b"\x00", b"\xff", b" ", b"9", b"["]) * length
        case 5:
            data += rng.bytes(length)
        case _:
            for bit in rng.integers(8 * len(data), size=rng.integers(1, 5)):
                data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


def places(value):
    """All pairs of a container and a key in a tree of dictionaries and lists."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from places(value[key])


def json_spoiled(value, rng):
    """The text of an object of which one or two values are odd, gone, or new; or there twice; or deep."""
    value = copy.deepcopy(value)
    for _ in range(rng.integers(1, 3)):
        container, key = pick(rng, list(places(value)) or [(value, "x")])
        match rng.integers(4):
            case 0 if isinstance(container, dict):
                container.pop(key, None)
            case 1 if isinstance(container, dict):
                names = ["", "x", "../x", "__metadata__", "model.layers.9.mlp.up_proj.weight", key + "\n", "\ud800"]
                container[pick(rng, names)] = copy.deepcopy(pick(rng, ODD))
            case _:
                container[key] = copy.deepcopy(pick(rng, ODD))
    text = json.dumps(value)
    match rng.integers(12):
        case 0 if value:
            name = json.dumps(next(iter(value)))
            text = f"{{{name}: {json.dumps(copy.deepcopy(pick(rng, ODD)))}, {text[1:]}"  # the first name twice
        case 1:
            text = text.replace(": ", ": " + pick(rng, ["[", '{"a":']) * 3000, 1)
        case 2:
            text = pick(rng, ["[", '{"a":']) * 20_000
    return text.encode()


def parts(data):
    """-> the header and the numbers of a safetensors file."""
    start = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:start]), data[start:]


def joined(text, numbers, length=None):
    return (len(text) if length is None else length).to_bytes(8, "little") + text + numbers


def safetensors_spoiled(data, rng):
    """A safetensors file that is spoiled anywhere, or whose header tells of other arrays than there are."""
    header, numbers = parts(data)
    text = json.dumps(header).encode()
    match rng.integers(6):
        case 0:
            return bytes_spoiled(data, rng)
        case 1:
            return joined(json_spoiled(header, rng), numbers)
        case 2:
            return joined(text, numbers, pick(rng, [0, 1, len(text) - 1, len(text) + 1, len(text) + len(numbers), 2**31, 2**63, 2**64 - 1]))
        case 3:
            return joined(text, bytes_spoiled(numbers, rng))
    names = [name for name in header if name != "__metadata__"]
    name, other = pick(rng, names), pick(rng, names)
    entry = header[name]
    match rng.integers(7):
        case 0:
            entry["dtype"] = pick(rng, KINDS)
        case 1:
            entry["shape"] = entry["shape"][::-1]
        case 2:
            entry["shape"] = pick(
                rng, [[], [0], [2**62, 4], [2**40], [10**15, 10**15], [1] * 100, [*entry["shape"], 1], [-1, -1], [2**31, 0]]
            )
        case 3:
            entry["data_offsets"] = [int(offset + rng.integers(-8, 9)) for offset in entry["data_offsets"]]
        case 4:
            entry["data_offsets"] = pick(rng, [header[other]["data_offsets"], [0, len(numbers)], [0, 2**62], [2**62, 2**62], [4, 0]])
        case 5:
            header[name.replace("base_model.model.", "").replace("layers.0", "layers.1")] = header.pop(name)
        case 6:
            header[name], header[other] = header[other], header[name]
    return joined(json.dumps(header).encode(), numbers)
