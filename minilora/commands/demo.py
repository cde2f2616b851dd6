"""`minilora demo`: the whole story in one command."""

from pathlib import Path

HELP = "the whole story in one command, in about a minute"


def add_arguments(parser):
    parser.add_argument("--figures", type=Path, default=Path("figures"), help="folder for the figure (%(default)s)")


def run(args):
    from minilora.demo import demo

    demo(args.figures)
