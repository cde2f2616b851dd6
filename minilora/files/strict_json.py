"""JSON that somebody else wrote, read strictly.

Python's reader lets the last of two equal names win, knows NaN, and goes as deep as its stack. Here each of these is an error, and
each error is one line.
"""

import json
import reprlib
from pathlib import Path

BRIEF = reprlib.Repr()  # one line, however large or deep a value is
BRIEF.maxstring = BRIEF.maxother = 100


def read_json(path):
    """The settings in a JSON file, name -> value. FileNotFoundError or ValueError, in one line."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(_why_absent(path))
    try:
        values = parse_json(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}): was it copied as a whole?") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds a {type(values).__name__} and not the settings of a model or an adapter")
    return values


def parse_json(data):
    """What some bytes say. ValueError for anything that is not plain JSON in UTF-8."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def short(value):
    """Somebody else's value for an error message: quoted, on one line, and no longer than is useful."""
    return BRIEF.repr(value)


def _why_absent(path):
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder}: check the name"
    if (folder / "checkpoint.safetensors").is_file() and not any(folder.glob("*config.json")):
        return f"there is no {path}, for a training was stopped in {folder}: start it once more with --resume, which finishes it"
    return f"there is no {path}: name the folder that holds it"


def _unique(pairs):
    result = {}
    for name, value in pairs:
        for text in (name, value):
            if isinstance(text, str):
                text.encode()  # half a character, as "\ud800", is none: UnicodeEncodeError is a ValueError
        if name in result:
            raise ValueError(f"{short(name)} stands there twice")
        result[name] = value
    return result


def _refuse(constant):
    raise ValueError(f"{constant} is not a number of JSON's")
