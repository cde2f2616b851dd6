"""Options of the commands that count: a model by its name or by its config.json, and sizes."""

import argparse


def whole_number(text):
    """A size that was typed, as an int of at least 1. The error is one line, before which argparse puts the option."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def add_model(parser):
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--model", help="a known model, as llama-2-7b, or stories-base; a wrong name lists them")
    one.add_argument("--config", help="a Hugging Face config.json, or its folder")


def add_batch(parser):
    parser.add_argument("--batch", type=whole_number, default=1, help="rows of text a step (%(default)s)")
    parser.add_argument("--length", type=whole_number, default=2048, help="tokens a row (%(default)s)")


def model_of(args):
    """-> the name and the dimensions that --model or --config ask for. ValueError or FileNotFoundError where there are none."""
    from minilora.files.dimensions import read_dimensions

    if args.model is None:
        return str(args.config), read_dimensions(args.config)
    from minilora.api import SHIPPED
    from minilora.transformer.known import KNOWN, find

    if (SHIPPED / args.model / "config.json").is_file():
        return args.model, read_dimensions(SHIPPED / args.model)
    name = find(args.model)
    return name, KNOWN[name]
