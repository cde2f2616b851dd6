"""`minilora figures`: draw all figures again. The same versions of matplotlib and Pillow give the same bytes."""

from pathlib import Path

HELP = "draw the figures again"


def add_arguments(parser):
    parser.add_argument("--folder", type=Path, default=Path("figures"), help="where to put them (%(default)s)")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this file, as film.gif; may be given more than once")


def run(args):
    import difflib

    from minilora.files.atomic import write_bytes
    from minilora.gallery import pictures

    found = pictures()
    for name in args.only or ():
        if name not in found:
            closest = difflib.get_close_matches(name, found, n=1, cutoff=0)[0]
            raise ValueError(f"there is no figure {name!r}; the closest is {closest!r}. There are {', '.join(found)}")
    chosen = [name for name in found if name in (args.only or found)]
    for n, name in enumerate(chosen, 1):
        data = found[name].draw()
        write_bytes(args.folder / name, data)
        print(f"[{n}/{len(chosen)}] {args.folder / name}  {len(data) / 1000:,.0f} kB", flush=True)
