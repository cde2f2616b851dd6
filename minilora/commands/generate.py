"""`minilora generate`: let a base speak, with or without an adapter."""

from minilora.commands.options import path

HELP = "let a base speak, with or without an adapter"


def add_arguments(parser):
    parser.add_argument("prompt", nargs="?", default="once upon a time", help="(%(default)s)")
    parser.add_argument("--base", help="a base of the package, or a Hugging Face folder (default: the adapter's own, or stories-base)")
    parser.add_argument("--adapter", type=path, help="a folder that finetune or PEFT wrote")
    parser.add_argument("--nf4", action="store_true", help="keep the base's matrices in four bits a number, as in finetune --nf4")
    parser.add_argument("--count", type=int, default=1, help="texts to draw (%(default)s)")
    parser.add_argument("--length", type=int, help="tokens at the most; characters, with a base of the package")
    parser.add_argument("--temperature", type=float, default=0.8, help="0 takes the likeliest (%(default)s)")
    parser.add_argument("--top-k", type=int, default=0, help="draw from the k likeliest (0: all)")
    parser.add_argument("--top-p", type=float, default=1.0, help="draw from the likeliest that make up this probability (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")


def run(args):
    from minilora import api

    if args.base is not None:
        base = api.load(args.base)
    else:
        base = api.load() if args.adapter is None else api.load_base_of(args.adapter)
    base = base.quantized() if args.nf4 else base
    adapter = None if args.adapter is None else api.load_adapter(args.adapter, base)
    texts = base.generate(args.prompt, adapter, args.length, args.seed, args.temperature, args.top_k, args.top_p, args.count)
    print("\n".join([texts] if isinstance(texts, str) else texts))
