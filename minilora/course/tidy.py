"""What of a notebook's outputs is kept in the file: what a page on the web can show, small and the same each time.

A player or a dial is shown as a page with a script, or as a widget, and both have a still picture beside them for those who only look. On
the web the script does not run and the widget has no kernel: the picture stays, the others go, and so does a picture's second form as HTML.
They come back when the cell is run.
"""

from minilora.course.source import METADATA

STILL = ("image/png", "text/plain")
WIDGET = "application/vnd.jupyter.widget-view+json"


def tidy(notebook):
    """Keep of every output what stands still, in place; of the metadata, what does not depend on the machine."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in map(still, cell.outputs) if output is not None]
    notebook.metadata.clear()
    notebook.metadata.update(METADATA)


def still(output):
    """An output without its moving parts; None if nothing is left that says something."""
    data = output.get("data", {})
    if "image/png" in data:
        for kind in [kind for kind in data if kind not in STILL]:
            del data[kind]
    elif WIDGET in data:
        return None
    return output
