"""`minilora course build`: make the notebooks from their sources, FOLDER/src/NN_name.py, and run the lessons among them."""

from pathlib import Path

from minilora.commands.options import path

HELP = "make the notebooks from their sources, and run them"
SECONDS = 180  # a lesson takes less than 60 on two cores of today; a machine may be slow or busy


def add_arguments(parser):
    parser.add_argument("folders", nargs="*", type=path, help="where src/ is (notebooks and exercises, as far as they are there)")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this one, as 01_low_rank; may be given more than once")
    parser.add_argument("--no-run", action="store_true", help="make them without outputs")
    parser.add_argument("--check", action="store_true", help="write nothing: say where a notebook is not what its source makes")
    parser.add_argument("--seed", type=int, help="exercises: the checks draw the numbers of this seed (default: the one in the source)")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="how long one notebook may run (%(default)s)")


def run(args):
    from minilora.course import build

    folders = args.folders or [Path(name) for name in build.FOLDERS if (Path(name) / "src").is_dir()] or build.FOLDERS
    chosen = build.sources(folders, args.only or ())
    if args.check:
        return check(chosen)
    if args.seconds < 1:
        raise ValueError(f"seconds {args.seconds} must be at least 1")
    if args.seed is not None and args.seed < 0:
        raise ValueError(f"seed {args.seed} must be at least 0")
    for n, source in enumerate(chosen, 1):
        took = build.build(source, not args.no_run, args.seconds, args.seed)
        kept = build.target(source)
        ran = "not run" if took is None else f"{took:.0f} s"
        print(f"[{n}/{len(chosen)}] {kept}  {ran}  {kept.stat().st_size / 1000:,.0f} kB", flush=True)


def check(chosen):
    """Exit code 1 where something differs, as diff has it."""
    from minilora.course import build

    lines = [line for source in chosen for line in build.differences(source)]
    print("\n".join(lines) if lines else f"{len(chosen)} notebooks are what their sources make")
    if lines:
        print("`minilora course build` makes them again")
    return 1 if lines else 0
