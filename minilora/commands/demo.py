"""`minilora demo`: the whole story in one command."""

from pathlib import Path

from minilora.commands.options import path

HELP = "the whole story in one command, in about a minute"


def add_arguments(parser):
    parser.add_argument("--figures", type=path, default=Path("figures"), help="folder for the figure (%(default)s)")


def run(args):
    from minilora.demo import demo
    from minilora.files.atomic import make_folder

    demo(make_folder(args.figures))
