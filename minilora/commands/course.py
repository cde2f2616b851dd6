"""`minilora course PART`: make the course's notebooks, or grade its exercises."""

from minilora.commands import course_build, course_grade

HELP = "build the course's notebooks, grade its exercises"
PARTS = {"build": course_build, "grade": course_grade}


def add_arguments(parser):
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    for name, module in PARTS.items():
        part = parts.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(part)
        part.set_defaults(run_part=module.run)


def run(args):
    return args.run_part(args)
