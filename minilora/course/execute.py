"""Runs a notebook from its first cell to its last in a kernel of its own, within a time limit."""

import math
import time

STARTUP = 60  # seconds that a kernel may take to start


def execute(notebook, folder, seconds):
    """Run all cells, their current folder being `folder`: outputs are put into `notebook`. -> how long it took, in seconds.

    `seconds` is the limit for the whole notebook; a kernel that hangs is killed. ValueError, naming the cell, for one that fails.
    """
    try:
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    except ModuleNotFoundError:
        raise ValueError("executing a notebook needs nbclient: pip install 'minilora[course]', or build with --no-run") from None
    began, begun = time.monotonic(), []
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        startup_timeout=STARTUP,
        timeout_func=lambda cell: max(1, math.ceil(began + seconds - time.monotonic())),
        on_cell_start=lambda cell, cell_index: begun.append(cell_index),
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],  # a notice about encryption, which a kernel on the same machine does not need
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise ValueError(f"{place(notebook, begun[-1])} failed: {error.ename}: {error.evalue}") from None
    except CellTimeoutError:
        raise ValueError(f"{place(notebook, begun[-1])} was still running after {seconds} s, the limit for a notebook") from None
    except DeadKernelError:
        raise ValueError(f"the kernel died in {place(notebook, begun[-1])}") from None
    except (AssertionError, AttributeError):  # at Ctrl-C nbclient ends the kernel, and then trips over there being none
        raise KeyboardInterrupt("stopped: the old file stays") from None
    return time.monotonic() - began


def place(notebook, n):
    """A cell in words: its number, counted from 1, and its first line."""
    return f"cell {n + 1} ({notebook.cells[n].source.strip().splitlines()[0]})"
