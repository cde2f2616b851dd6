"""Floating-point operations of a training step: why LoRA saves a third of the work at the most, and when it saves nothing.

A product (N, d) @ (d, k) multiplies and adds N d k times: 2 N d k FLOPs. A linear layer that trains takes part in three such products,
y = x W, dx = dy W.T and dW = x.T dy. LoRA drops the third and adds six thin ones, three with A and three with B:

    full  6 d k  a token          LoRA  4 d k + 6 r (d + k)          LoRA / full = 2/3 + r / r*,   r* = d k / (d + k)

so that beyond r = r* / 3 LoRA costs more than full fine-tuning.

Left out: what is done number by number (norms, softmax, rotation, SwiGLU, the optimiser) and the lookup of the embedding, which is
no product. minilora's compiled step may do less than is counted here: with many tokens it adds s A B to W once, in place of a second
path for every token (minilora/kernels/lowrank.py).
"""

from minilora.counting.pair import break_even_rank, full_params, lora_params, whole, within_limit

EMBEDDING, HEAD = "model.embed_tokens", "lm_head"
READ_THE_BLOCK = (".q_proj", ".k_proj", ".v_proj")  # the layers whose input is the block's: below them may be nothing that trains


def full_flops(d, k):
    """6 d k: a token's forward and backward pass through a d x k matrix that trains."""
    return within_limit("6 d k", 6 * full_params(d, k))


def lora_flops(d, k, r):
    """4 d k + 6 r (d + k): the same through a frozen matrix and a pair that trains."""
    return within_limit("4 d k + 6 r (d + k)", 4 * full_params(d, k) + 6 * lora_params(d, k, r))


def flops_ratio(d, k, r):
    """lora_flops / full_flops = 2/3 + r / r*."""
    return lora_flops(d, k, r) / full_flops(d, k)


def break_even_flops_rank(d, k):
    """r* / 3: with more than this a LoRA step costs more than a full one."""
    return break_even_rank(d, k) / 3


def linear_layers(config):
    """Module -> (d, k) of every matrix that multiplies the activations: no lookup tables, and the head even where it is tied."""
    shapes = {name.removesuffix(".weight"): shape for name, shape in config.shapes().items() if len(shape) == 2}
    linears = {name: shape for name, shape in shapes.items() if ".embed_" not in name}
    return linears | {HEAD: (config.hidden_size, config.vocab_size)}


def lowest_layer(ranks, num_layers):
    """The index of the lowest layer that trains; -1 if the embedding does, as in full fine-tuning; num_layers if only the head does."""
    if ranks is None or EMBEDDING in ranks:
        return -1
    return min((int(name.split(".")[2]) for name in ranks if name != HEAD), default=num_layers)


def step_flops(config, batch, length, ranks=None):
    """A training step on `batch` rows of `length` tokens -> part -> FLOPs, of every product that its backward pass cannot do without.

    ranks: adapted module -> r, as a LoRA's `ranks(config)` gives it; None is full fine-tuning. Below the lowest adapted layer
    nothing is propagated, nor through that layer's q, k and v. A query sees itself and what came before: length (length + 1) / 2 pairs
    a row, in two products forward and four backward.
    """
    rows, length = whole("batch", batch), whole("length", length)
    N, lowest = rows * length, lowest_layer(ranks, config.num_hidden_layers)
    flops = dict.fromkeys(("linear layers", "head", "low-rank pairs", "attention"), 0)
    for name, (d, k) in linear_layers(config).items():
        layer = config.num_hidden_layers if name == HEAD else int(name.split(".")[2])
        need_dx = layer > lowest or (layer == lowest and not name.endswith(READ_THE_BLOCK))
        products = 1 + need_dx + (ranks is None)  # y, dx, dW
        flops["head" if name == HEAD else "linear layers"] += products * 2 * N * d * k
        r = (ranks or {}).get(name, 0)
        flops["low-rank pairs"] += 2 * N * r * (3 * k + (2 + need_dx) * d)  # z B, dB, dz = dy B.T;  z = x A, dA, dz A.T
    r = (ranks or {}).get(EMBEDDING, 0)
    flops["low-rank pairs"] += 2 * N * r * 3 * config.hidden_size  # z is looked up: z B, dB, dz alone
    width, pairs = config.num_attention_heads * config.head_dim, rows * length * (length + 1) // 2
    for layer in range(config.num_hidden_layers):
        flops["attention"] += (2 + 4 * (layer >= lowest)) * 2 * pairs * width  # q k.T, p v;  dp, dv, dq, dk
    within_limit("the FLOPs of a step", sum(flops.values()))
    return flops
