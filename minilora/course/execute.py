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
    began = time.monotonic()
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        startup_timeout=STARTUP,
        timeout_func=lambda cell: max(1, math.ceil(began + seconds - time.monotonic())),
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],  # a notice about encryption, which a kernel on the same machine does not need
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise ValueError(f"{place(notebook)} failed: {error.ename}: {error.evalue}") from None
    except CellTimeoutError:
        raise ValueError(f"{place(notebook)} was still running after {seconds} s, the limit for a notebook") from None
    except DeadKernelError:
        raise ValueError(f"the kernel died in {place(notebook)}") from None
    return time.monotonic() - began


def place(notebook):
    """Where execution stopped, in words: the cell that failed, or the first that has not come to its end."""
    code = [n for n, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    done = [n for n in code if notebook.cells[n].execution_count is not None]
    failed = [n for n in done if any(output.output_type == "error" for output in notebook.cells[n].outputs)]
    n = (failed or [n for n in code if n not in done] or done)[0]
    return f"cell {n + 1} ({notebook.cells[n].source.strip().splitlines()[0]})"
