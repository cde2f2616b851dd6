"""Builds notebooks: FOLDER/src/NN_name.py becomes FOLDER/NN_name.ipynb.

A source with solutions in it is an exercise: it loses them, and is not run. Every other is a lesson: it is run, its outputs are kept, and
one of its pictures is put into FOLDER/thumbnails/.
"""

from pathlib import Path

from minilora.classroom.convert import has_solutions, student, with_seed
from minilora.course import source
from minilora.course.execute import execute
from minilora.course.thumbnails import thumbnail
from minilora.course.tidy import tidy
from minilora.files.atomic import write_bytes

FOLDERS = ("notebooks", "exercises")


def sources(folders, only=()):
    """The sources in these folders, in reading order. ValueError for a name in `only` that there is not, and where there are none."""
    import difflib

    found = [path for folder in folders for path in sorted((Path(folder) / "src").glob("*.py"))]
    if not found:
        raise ValueError(f"there is no source in {' or '.join(f'{folder}/src' for folder in folders)}: run this where the course is")
    names = [path.stem for path in found]
    for name in only:
        if name not in names:
            closest = difflib.get_close_matches(name, names, n=1, cutoff=0)[0]
            raise ValueError(f"there is no notebook {name!r}; the closest is {closest!r}. There are {', '.join(names)}")
    return [path for path in found if path.stem in (only or names)]


def target(path):
    """Where the notebook of a source is kept."""
    return path.parent.parent / f"{path.stem}.ipynb"


def make(path, seed=None):
    """The notebook that a source makes, without outputs, and whether it is an exercise: then its checks may take another seed."""
    notebook = source.read(path)
    exercise = has_solutions(notebook.cells)
    if exercise:
        notebook.cells = student(notebook.cells if seed is None else with_seed(notebook.cells, seed))
    return notebook, exercise


def build(path, run, seconds, seed=None):
    """Write the notebook of a source -> how long it ran, in seconds; None if it did not.

    `seconds` is the limit for its run; `seed`, where given, is that of an exercise's checks. ValueError where a cell fails: the old file
    stays.
    """
    notebook, exercise = make(path, seed)
    took = None
    if run and not exercise:
        try:
            took = execute(notebook, path.parent.parent, seconds)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        tidy(notebook)
        notebook.metadata["minilora"] = {"seconds": round(took)}
        write_bytes(path.parent.parent / "thumbnails" / f"{path.stem}.png", thumbnail(notebook))
    write_bytes(target(path), source.to_bytes(notebook))
    return took


def differences(path):
    """Where the notebook that is kept is not what its source makes: a line for each place."""
    kept = target(path)
    if not kept.is_file():
        return [f"{kept} is missing"]
    return [f"{kept}: {line}" for line in source.differences(source.load(kept), make(path)[0])]
