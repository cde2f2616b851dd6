"""`minilora sweep CONFIG`: every combination of the choices in a TOML file
is trained and measured, many at a time.
"""

import json

from minilora.commands.options import add_json, path
from minilora.commands.sizes import whole_number

HELP = "train every combination of choices in a TOML file, here or on a cluster"
EPILOG = """\
a file, as sweeps/rank-and-rate.toml:
  corpus = "piglatin"      # what all trials share: base, method, corpus,
  steps = 60               # fields of the recipe, dials of the method
  seed = [0, 1]            # a list is a choice; every combination is a trial
  [[grid]]
  method = "lora"
  rank = [1, 4, 16]
  learning_rate = [3e-3, 1e-2]
  [[grid]]                 # a second grid beside the first
  method = "full"
  learning_rate = [3e-4, 1e-3]

A sweep that was stopped goes on where it was when it is started again. What
has changed since, your text or your base too, is another trial.

--backend dask goes to a cluster that runs already, as one made by
  dask scheduler
and on each machine
  dask worker tcp://ADDRESS:8786 --nworkers auto --nthreads 1
--backend ray is offered as joblib offers it, and was not tested.
"""


def add_arguments(parser):
    parser.add_argument("config", type=path, help="a TOML file")
    parser.add_argument("--out", type=path, help="folder for table.csv, figure.png and trials (default: the file's name without .toml)")
    parser.add_argument("--jobs", type=whole_number, default=2, help="trials at a time, on this machine (%(default)s)")
    parser.add_argument("--backend", default="loky", help="loky: processes on this machine; dask or ray: a cluster (%(default)s)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="the cluster's, as tcp://127.0.0.1:8786")
    add_json(parser)


def run(args):
    from minilora.files.atomic import make_folder, write_bytes
    from minilora.lab import facets, sweep, table
    from minilora.lab.trials import file_of, kept, run_trials
    from minilora.pictures.style import LIGHT, house, png

    trials = sweep.read(args.config)
    out = make_folder(args.out or folder_of(args.config))
    say = (lambda text: None) if args.json else print
    done = sum(kept(file_of(sweep.run_trial, trial, out / "trials")) is not None for trial in trials)
    say(f"{len(trials)} trials, {done} of them done already")
    rows = run_trials(sweep.run_trial, trials, out / "trials", args.jobs, not args.json, args.backend, args.scheduler)
    table.save(out / "table.csv", rows)
    with house(LIGHT):
        write_bytes(out / "figure.png", png(facets.draw(rows)))
    if args.json:
        print(json.dumps(rows))
        return
    diverged = sum(row["status"] == "diverged" for row in rows)
    print(limits(rows, args))
    print(f"{len(rows)} trials, {diverged} of which diverged; wrote {out}/table.csv and {out}/figure.png")


def folder_of(config):
    """The folder of a sweep that was not told one: the file's name without its suffix. ValueError where there is none to take off."""
    if not config.suffix:
        raise ValueError(f"{config} has no suffix, and its folder cannot have its name: name a folder with --out")
    return config.with_suffix("")


def limits(rows, args):
    """How many trials ran at a time, and with how many threads each: as the trials themselves found it."""
    places = len({row["process"] for row in rows})
    where = f"{args.jobs} at a time on this machine (joblib's loky)" if args.backend == "loky" else f"on a {args.backend} cluster"
    numbers = (sorted({str(row[name]) for row in rows}) for name in ("blas_threads", "numba_threads"))
    blas, numba = (" or ".join(found).replace("None", "no") for found in numbers)
    return f"ran {where}, in {places} processes; threads a trial: BLAS {blas}, Numba {numba}"
