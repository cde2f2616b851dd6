"""Options that several commands share, and what they stand for."""

import argparse
from pathlib import Path


def path(text):
    """A path that was typed. An empty one, as a variable that is not set leaves, is not the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name is no path")
    return Path(text)


def add_method(parser, rank=4):
    parser.add_argument("--method", default="lora", help="a way to fine-tune; a wrong name lists them (%(default)s)")
    parser.add_argument("--rank", type=int, default=rank, help="columns of A and rows of B (%(default)s)")
    parser.add_argument("--alpha", type=float, help="the update is scaled by alpha / rank (default: 2 x rank)")
    parser.add_argument("--targets", default="all-linear", help="all-linear, attention, mlp, or names as q_proj,v_proj (%(default)s)")


def add_json(parser):
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def method_of(args, typed=("alpha",)):
    """The method that the options describe; usual values of dials that it does not have are left out.

    ValueError for a name that there is not, and for one of the `typed` dials that has a value where the method has no such dial. (Alpha
    has no usual value of its own: where it has one, it was typed.)
    """
    from minilora.methods import REGISTRY

    if args.method not in REGISTRY:
        raise ValueError(f"there is no method {args.method!r}; there are {', '.join(sorted(REGISTRY))}")
    alpha = 2.0 * args.rank if args.alpha is None else args.alpha
    dials = {"rank": args.rank, "alpha": alpha, "targets": args.targets}
    fields = REGISTRY[args.method].__dataclass_fields__
    if lacking := [f"--{dial}" for dial in typed if getattr(args, dial) is not None and dial not in fields]:
        raise ValueError(f"{args.method} has no {' and no '.join(lacking)}: leave {'it' if len(lacking) == 1 else 'them'} out")
    return REGISTRY[args.method](**{key: value for key, value in dials.items() if key in fields})
