"""`minilora course grade`: run and check the notebooks that students handed in, and write a table of points.

Each notebook runs in a kernel of its own. Students' code runs with your rights, for there is no sandbox: grade in an account or a container
of its own.
"""

import json

from minilora.commands.options import add_json, path

HELP = "grade notebooks that students handed in"


def add_arguments(parser):
    parser.add_argument("folder", type=path, help="holds a folder, or a notebook, for each student")
    parser.add_argument("-o", "--out", type=path, metavar="CSV", help="write the table here, as grades.csv, after each notebook")
    parser.add_argument("--seed", type=int, default=1, help="of the numbers that are checked with (%(default)s; students see those of 0)")
    parser.add_argument("--seconds", type=int, default=10, help="how long a cell, or a check, may take (%(default)s)")
    add_json(parser)


def run(args):
    from minilora.classroom.grade import as_csv, grade, submissions
    from minilora.files.atomic import write_bytes

    if args.seconds < 1 or args.seed < 0:
        raise ValueError(f"--seconds {args.seconds} must be at least 1, and --seed {args.seed} at least 0")
    handed_in, grades = submissions(args.folder), []

    def keep():
        """What is graded so far: nobody should wait for it twice."""
        if args.out is not None:
            write_bytes(args.out, as_csv(grades).encode())

    keep()  # where that is not possible it is told before the work
    for n, (student, notebook) in enumerate(handed_in, 1):
        grades.append(grade(student, notebook, args.seed, args.seconds))
        keep()
        if not args.json:
            print(line(n, len(handed_in), grades[-1]), flush=True)
    if args.json:
        print(
            json.dumps(
                [{"student": each.student, "notebook": each.notebook, "states": each.states, "notes": each.notes} for each in grades]
            )
        )


def line(n, of, grade):
    notes = f"  ({'; '.join(grade.notes)})" if grade.notes else ""
    return f"[{n}/{of}] {grade.student}  {grade.notebook or '-'}  {grade.points} of {len(grade.states)}{notes}"
