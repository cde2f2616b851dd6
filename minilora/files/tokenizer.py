"""The tokenizer of a Hugging Face folder: a text as the numbers that its model was trained on, and back.

tokenizer.json is read by the tokenizers library, which is installed only when asked for: pip install 'minilora[hf]'. It is imported when
a text is first taken apart, so that a model can be loaded, counted and merged without it.

Left out: chat templates, and the older tokenizer.model without a tokenizer.json.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from minilora.files.atomic import write_bytes
from minilora.files.strict_json import read_json, short

BYTES = 256  # tokens, where a token is a byte


def read_tokenizer(folder, vocab_size):
    """The Tokenizer of a folder, or None where a token is a byte: where there is no tokenizer.json, and 256 tokens."""
    folder = Path(folder)
    if vocab_size == BYTES and not (folder / "tokenizer.json").is_file():
        return None
    special = {"bos_token_id": None, "eos_token_id": None}
    for name in ("config.json", "generation_config.json"):  # the later one counts, as in transformers
        if (folder / name).is_file():
            special |= {key: value for key, value in read_json(folder / name).items() if key in special and value is not None}
    return Tokenizer(folder, vocab_size, special)


@dataclass(frozen=True)
class Tokenizer:
    """Text to tokens and back. ValueError at the first use where tokenizer.json or the library is missing."""

    folder: Path
    vocab_size: int
    special: dict = field(default_factory=dict)  # bos_token_id and eos_token_id

    @property
    def stop(self):
        """The tokens that end a text."""
        ends = self.special["eos_token_id"]
        return ends if isinstance(ends, list) else [] if ends is None else [ends]

    @cached_property
    def library(self):
        path = self.folder / "tokenizer.json"
        if not path.is_file():
            raise ValueError(
                f"{self.folder} has a vocabulary of {self.vocab_size} and no tokenizer.json: without one, text is {BYTES} bytes"
            )
        read_json(path)
        try:
            import tokenizers
        except ImportError:
            raise ValueError(f"{path} needs the tokenizers library: pip install 'minilora[hf]'") from None
        try:
            return tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise ValueError(f"{path} is no tokenizer ({short(str(error))}): was it copied as a whole?") from None

    def encode(self, text, marks=True):
        """The tokens of a text, as a list of integers, with the marks that the tokenizer sets at its ends unless `marks` is false."""
        tokens = self.library.encode(text, add_special_tokens=marks).ids
        if tokens and max(tokens) >= self.vocab_size:
            raise ValueError(
                f"{self.folder}: tokenizer.json makes a token {max(tokens)} and config.json has a vocab_size of {self.vocab_size}: "
                "do the two belong together?"
            )
        return tokens

    def decode(self, tokens, start=0):
        """What tokens[start:] add to the text of those before, up to the first that ends it. Marks are left out."""
        tokens = [int(token) for token in tokens]
        end = next((i for i in range(start, len(tokens)) if tokens[i] in self.stop), len(tokens))
        # Taken apart at `start`, the text could lose a space there: the two are spelled out from their beginning.
        before, whole = self.library.decode(tokens[:start]), self.library.decode(tokens[:end])
        return whole[len(before) :]

    def save(self, folder):
        """Copy tokenizer.json, if it is there, into another folder."""
        path = self.folder / "tokenizer.json"
        if path.is_file():
            write_bytes(Path(folder) / "tokenizer.json", path.read_bytes())
