"""The command line: `minilora COMMAND --help` explains each command. A user's mistake is one line on stderr and exit code 2."""

import argparse
import os
import sys
import warnings

import minilora
from minilora.commands import (
    bench,
    claims,
    compare,
    count,
    course,
    demo,
    experiment,
    export,
    figures,
    finetune,
    generate,
    gradcheck,
    inspect,
    memory,
    pretrain,
    sweep,
)
from minilora.files.strict_json import short

COMMANDS = (
    *(demo, pretrain, finetune, generate, inspect, export, gradcheck, count, memory),
    *(compare, experiment, sweep, claims, figures, bench, course),
)

EXAMPLES = """\
examples:
  minilora finetune --corpus pirate --rank 4 --out pirate
  minilora generate --adapter pirate "once upon a time"
  minilora export pirate --out merged --merge    (a model for transformers)
  minilora count --d 4096 --k 4096 --rank 16
  minilora count --model llama-2-7b --targets q_proj,v_proj
  minilora memory --budget 8GB
  minilora sweep sweeps/rank-and-rate.toml
  minilora claims --only 17"""


class Parser(argparse.ArgumentParser):
    """One whose errors are one line, as all others of this program: argparse would print the usage before it."""

    def error(self, message):
        self.exit(2, f"minilora: {message}; {self.prog} --help explains\n")

    def parse_known_args(self, args=None, namespace=None):
        """A command refuses itself what it does not know: argparse would leave it to the program, whose --help says nothing of it."""
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return namespace, unknown


def parser():
    top = Parser(
        prog="minilora", description="LoRA by hand, on a CPU.", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"minilora {minilora.__version__}")
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        more = {"epilog": module.EPILOG, "formatter_class": argparse.RawDescriptionHelpFormatter} if hasattr(module, "EPILOG") else {}
        command = subparsers.add_parser(module.__name__.rsplit(".", 1)[-1], help=module.HELP, description=module.__doc__, **more)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return top


def show_warning(message, category, filename, lineno, file=None, line=None):
    """A warning is meant for the person at the keyboard: one line, without the place in our source."""
    print(f"minilora: note: {message}", file=sys.stderr)


def refusal(error):
    """What the system says, with the place and what to do; an error of our own says both itself."""
    if error.errno is None:
        return str(error)
    place = f"{short(error.filename)}: " if error.filename else ""
    return f"{place}{error.strerror.lower()}: check the name, who may write there, and the room that is left on the disk"


def main(arguments=None):
    try:
        args = parser().parse_args(arguments)
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            return args.run(args) or 0
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as stopped:
        print(f"\nminilora: {str(stopped) or 'stopped'}", file=sys.stderr)
        return 130
    except MemoryError as error:
        print(f"minilora: there is not enough memory ({error}): take a smaller batch, length or model", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"minilora: {refusal(error)}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"minilora: {error}", file=sys.stderr)
        return 2
