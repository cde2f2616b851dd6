"""`minilora finetune`: adapt a base to a text. Writes an adapter in PEFT's format."""

import json
import shlex

from minilora.commands.options import add_json, method_of, path

HELP = "adapt a base to a text, and keep the adapter in PEFT's format"
USUAL = {"rank": 4, "targets": "all-linear", "steps": 300, "batch": 16}  # what a preset stands in place of, but not what is typed
PROMPT = "once upon a time"


def add_arguments(parser):
    parser.add_argument("--base", default="stories-base", help="a base of the package, or a Hugging Face folder (%(default)s)")
    parser.add_argument("--method", default="lora", help="a way to fine-tune; a wrong name lists them (%(default)s)")
    parser.add_argument("--rank", type=int, help=f"columns of A and rows of B ({USUAL['rank']})")
    parser.add_argument("--alpha", type=float, help="the update is scaled by alpha / rank (default: 2 x rank)")
    parser.add_argument("--targets", help=f"all-linear, attention, mlp, or names as q_proj,v_proj ({USUAL['targets']})")
    parser.add_argument("--nf4", action="store_true", help="keep the frozen base's matrices in four bits a number (QLoRA)")
    text = parser.add_mutually_exclusive_group(required=True)
    text.add_argument("--corpus", help="stories, shout, pirate, uwu, piglatin, rot13, pydoc or stdlib")
    text.add_argument("--text", type=path, help="a file or folder of your own, in UTF-8")
    parser.add_argument("--preset", action="store_true", help="rank, targets, steps and batch as tried out for the voice, where not given")
    parser.add_argument("--steps", type=int, help=f"({USUAL['steps']})")
    parser.add_argument("--learning-rate", type=float, help="default: the method's own")
    parser.add_argument("--batch", type=int, help=f"rows of text a step ({USUAL['batch']})")
    parser.add_argument("--length", type=int, default=192, help="tokens a row; characters, with a base of the package (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--out", type=path, required=True, help="a new folder, for the adapter and its checkpoint")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    add_json(parser)


def settle(args, preset):
    """What was not typed gets the preset's value, or else the usual one."""
    for name, value in {**USUAL, **preset}.items():
        if getattr(args, name) is None:
            setattr(args, name, value)


def has_a_file(method):
    """Whether the result can be saved: as a whole model, or in PEFT's format as what it is or as the relative that it exports."""
    from minilora.methods import Full, Method

    return isinstance(method, Full) or method.peft_type is not None or type(method).exported is not Method.exported


def run(args):
    from minilora import api
    from minilora.training.loop import Recipe
    from minilora.training.presets import find_voice
    from minilora.training.voices import VOICES

    corpus = args.text if args.corpus is None else args.corpus
    typed = [dial for dial in ("rank", "alpha", "targets") if getattr(args, dial) is not None]
    settle(args, find_voice(corpus) if args.preset else {})
    recipe = {"steps": args.steps, "batch": args.batch, "length": args.length, "seed": args.seed}
    recipe["shards"] = min(args.batch, Recipe.shards)
    if args.learning_rate is not None:
        recipe["learning_rate"] = args.learning_rate
    method, base = method_of(args, typed), api.load(args.base)
    if args.nf4 and args.method == "full":
        raise ValueError("full fine-tuning changes all weights, and those in four bits stay as they are: leave out --nf4, or train a LoRA")
    if args.nf4:
        base = base.quantized(keep=args.method == "loftq")
    if not has_a_file(method):  # said before the training, not after it
        raise ValueError(
            f"{method.name} has no place in PEFT's format, so there is no file for its adapter: train it by ml.finetune and keep its arrays"
        )
    adapter = api.finetune(base, method, corpus, folder=args.out, resume=args.resume, progress=not args.json, **recipe)
    adapter.save(args.out)
    if args.json:
        print(json.dumps(adapter.log))
        return
    for row in adapter.log:
        excess = "" if row["excess"] is None else f", {row['excess']:.3f} above the generator's own"
        print(f"step {row['step']}: loss {row['loss']:.3f}, held out {row['held_out']:.3f} nats a {base.unit}{excess}")
    folder, prompt = shlex.quote(str(args.out)), VOICES[corpus].encode(PROMPT) if corpus in VOICES else PROMPT
    options = f"--base {folder}" if args.method == "full" else f"--adapter {folder}" + " --nf4" * args.nf4
    print(f'wrote {args.out}; try: minilora generate {options} "{prompt}"')
