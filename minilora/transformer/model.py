"""The transformer: a forward pass, and the backward pass as its mirror image.

The order within a block is norm, attention, add, norm, SwiGLU, add (Llama: Touvron et al. 2023, arXiv 2302.13971). The model asks
`sites` at the places where a method may plug in, and knows none of the methods. The gradient of an array that does not train is
never computed, and a frozen linear layer keeps no input.

Left out: dropout in the base, recomputation of activations, mixed precision.
"""

import functools
import re

import numpy as np

from minilora import layers
from minilora.transformer.sites import Sites, add_grad, lowest_layer


def init(config, rng, std=0.02, dtype=np.float32):
    """Random weights, name -> array: normal with deviation `std`, the two that write to the residual stream divided by sqrt(2 L)
    (Radford et al. 2019, GPT-2, section 2.3), gains one, biases zero.
    """
    weights = {}
    for name, shape in config.shapes().items():
        if name.endswith("norm.weight"):
            weights[name] = np.ones(shape, dtype)
        elif name.endswith(".bias"):
            weights[name] = np.zeros(shape, dtype)
        else:
            shrink = (2 * config.num_hidden_layers) ** -0.5 if re.search("o_proj|down_proj", name) else 1.0
            weights[name] = (rng.standard_normal(shape) * std * shrink).astype(dtype)
    return weights


def frequencies(config):
    """The rotary frequencies theta^(-2i/c), i = 0 .. c/2 - 1 -> (c / 2,), the slow ones slowed where the model scales them."""
    plain = config.rope_theta ** (-np.arange(0, config.head_dim, 2) / config.head_dim)  # (c/2,)
    return plain if config.rope_scaling is None else config.rope_scaling.slowed(plain)


@functools.lru_cache(maxsize=4)
def rotations_up_to(config, length, dtype):
    """cos and sin (length, c / 2) of the positions 0 .. length - 1. They are kept, and must not be written to."""
    return layers.rope_tables(np.arange(length), frequencies(config), dtype)


def rotations(config, start, length, dtype):
    """cos and sin (length, c / 2) of the positions from `start` on. Each step of decoding asks for one more: powers of two are kept."""
    kept = 1 << (start + length - 1).bit_length()
    return tuple(table[start : start + length] for table in rotations_up_to(config, kept, dtype))


def linear_forward(sites, weights, name, x):
    W = weights[f"{name}.weight"]
    y, cache = sites.linear_forward(name, x, W)  # (N, k)
    if f"{name}.bias" in weights:
        y += weights[f"{name}.bias"]
    return y, (W, x if f"{name}.weight" in sites.arrays else None, cache)


def linear_backward(sites, name, dy, cache, grads, into=None, need_dx=True):
    W, x, cache = cache
    if x is not None:
        add_grad(grads, f"{name}.weight", sites.ops.linear_weight_backward(dy, x))  # (d, k)
    if f"{name}.bias" in sites.arrays:
        add_grad(grads, f"{name}.bias", dy.sum(axis=0))  # (k,)
    return sites.linear_backward(name, dy, W, cache, grads, into, need_dx)  # (N, d)


def norm_backward(sites, name, dy, cache, grads, into=None):
    if f"{name}.weight" in sites.arrays:
        add_grad(grads, f"{name}.weight", sites.ops.rmsnorm_gain_backward(dy, cache))  # (d,)
    return sites.ops.rmsnorm_backward(dy, cache, into)  # (N, d)


def head_norm_forward(config, sites, weights, name, x):
    """The norm of each head of queries or keys by itself, where the model has one: x (N, heads * c) -> (N, heads * c), cache."""
    if not config.qk_norm:
        return x, None
    y, cache = sites.ops.rmsnorm_forward(x.reshape(-1, config.head_dim), weights[f"{name}.weight"], config.rms_norm_eps)  # (N heads, c)
    return y.reshape(x.shape), cache


def head_norm_backward(sites, name, dy, cache, grads):
    if cache is None:
        return dy
    return norm_backward(sites, name, dy.reshape(cache[0].shape), cache, grads).reshape(dy.shape)  # (N, heads * c)


def attention_forward(config, sites, weights, i, x, batch, tables, past=None):
    ops, name = sites.ops, f"model.layers.{i}.self_attn"
    q, cq = linear_forward(sites, weights, f"{name}.q_proj", x)  # (N, H c)
    k, ck = linear_forward(sites, weights, f"{name}.k_proj", x)  # (N, G c)
    v, cv = linear_forward(sites, weights, f"{name}.v_proj", x)  # (N, G c)
    q, cqn = head_norm_forward(config, sites, weights, f"{name}.q_norm", q)
    k, ckn = head_norm_forward(config, sites, weights, f"{name}.k_norm", k)
    q = ops.rope_forward(ops.split_heads(q, batch, config.num_attention_heads), *tables)  # (batch, H, T, c)
    k = ops.rope_forward(ops.split_heads(k, batch, config.num_key_value_heads), *tables)  # (batch, G, T, c)
    v = ops.split_heads(v, batch, config.num_key_value_heads)  # (batch, G, T, c)
    if past is not None:
        k, v = past.append(i, k, v)  # (batch, G, S, c) each: everything seen so far
    o, ca = sites.attention_forward(i, q, k, v)  # (batch, H, T, c)
    y, co = linear_forward(sites, weights, f"{name}.o_proj", ops.join_heads(o))  # (N, d)
    return y, (cq, ck, cv, tables, ca, co, batch, cqn, ckn)


def attention_backward(config, sites, i, dy, cache, grads, need_dx):
    ops, name = sites.ops, f"model.layers.{i}.self_attn"
    cq, ck, cv, tables, ca, co, batch, cqn, ckn = cache
    do = ops.split_heads(linear_backward(sites, f"{name}.o_proj", dy, co, grads), batch, config.num_attention_heads)  # (batch, H, T, c)
    dq, dk, dv = sites.attention_backward(i, do, ca, grads)
    dv = ops.join_heads(dv)  # (N, G c)
    dk = ops.join_heads(ops.rope_backward(dk, *tables))  # (N, G c)
    dq = ops.join_heads(ops.rope_backward(dq, *tables))  # (N, H c)
    dk = head_norm_backward(sites, f"{name}.k_norm", dk, ckn, grads)
    dq = head_norm_backward(sites, f"{name}.q_norm", dq, cqn, grads)
    dx = linear_backward(sites, f"{name}.v_proj", dv, cv, grads, None, need_dx)  # (N, d)    q, k and v read the same x
    dx = linear_backward(sites, f"{name}.k_proj", dk, ck, grads, dx, need_dx)
    return linear_backward(sites, f"{name}.q_proj", dq, cq, grads, dx, need_dx)


def mlp_forward(sites, weights, i, x):
    name = f"model.layers.{i}.mlp"
    gate, cg = linear_forward(sites, weights, f"{name}.gate_proj", x)  # (N, f)
    up, cu = linear_forward(sites, weights, f"{name}.up_proj", x)  # (N, f)
    h, ch = sites.ops.swiglu_forward(gate, up)  # (N, f)
    y, cd = linear_forward(sites, weights, f"{name}.down_proj", h)  # (N, d)
    return y, (cg, cu, ch, cd)


def mlp_backward(sites, i, dy, cache, grads):
    name = f"model.layers.{i}.mlp"
    cg, cu, ch, cd = cache
    dh = linear_backward(sites, f"{name}.down_proj", dy, cd, grads)  # (N, f)
    dgate, dup = sites.ops.swiglu_backward(dh, ch)  # (N, f) each
    dx = linear_backward(sites, f"{name}.up_proj", dup, cu, grads)  # (N, d)
    return linear_backward(sites, f"{name}.gate_proj", dgate, cg, grads, dx)


def block_forward(config, sites, weights, i, x, batch, tables, past=None):
    """One block: x (N, d) -> x (N, d), cache. It serves training and, with `past`, decoding."""
    name = f"model.layers.{i}"
    n, cn1 = sites.ops.rmsnorm_forward(x, weights[f"{name}.input_layernorm.weight"], config.rms_norm_eps)
    h, ca = attention_forward(config, sites, weights, i, n, batch, tables, past)
    h, cs1 = sites.sublayer_forward(f"{name}.self_attn", h)
    x = x + h
    n, cn2 = sites.ops.rmsnorm_forward(x, weights[f"{name}.post_attention_layernorm.weight"], config.rms_norm_eps)
    h, cm = mlp_forward(sites, weights, i, n)
    h, cs2 = sites.sublayer_forward(f"{name}.mlp", h)
    return x + h, (cn1, ca, cs1, cn2, cm, cs2)


def block_backward(config, sites, i, dx, cache, grads, need_dx=True):
    """dx (N, d) of the block's output -> dx of its input, or None where nothing below trains."""
    name = f"model.layers.{i}"
    cn1, ca, cs1, cn2, cm, cs2 = cache
    dh = sites.sublayer_backward(f"{name}.mlp", dx, cs2, grads)
    dn = mlp_backward(sites, i, dh, cm, grads)
    dx = norm_backward(sites, f"{name}.post_attention_layernorm", dn, cn2, grads, into=dx)  # x = x + h: both branches
    dh = sites.sublayer_backward(f"{name}.self_attn", dx, cs1, grads)
    need_dn = need_dx or f"{name}.input_layernorm.weight" in sites.arrays
    dn = attention_backward(config, sites, i, dh, ca, grads, need_dn)
    return norm_backward(sites, f"{name}.input_layernorm", dn, cn1, grads, into=dx) if need_dn else None


def forward(config, weights, tokens, sites=None, past=None):
    """tokens (batch, T) integers -> logits (batch * T, V), cache.

    `past`, a generate.Past, holds the keys and values of the tokens before these. Raises ValueError if the text does not fit the context.
    """
    sites = Sites() if sites is None else sites
    weights = {**weights, **sites.arrays}
    batch, T = tokens.shape
    E = weights["model.embed_tokens.weight"]
    x, ce = sites.embedding_forward(tokens.reshape(-1), E)  # (N, d)
    if past is None or past.length == 0:
        x = sites.input_forward(x.reshape(batch, T, -1))  # (batch, P + T, d)
        length = x.shape[1]
        x = x.reshape(batch * length, -1)  # (batch * (P + T), d)
    else:
        length = T
    start = sites.position_offset + (past.length if past is not None else 0)
    if start + length > config.max_position_embeddings:
        raise ValueError(f"{start + length} positions do not fit the context of {config.max_position_embeddings}: shorten the text")
    tables = rotations(config, start, length, x.dtype)  # (P + T, c/2) each
    caches = []
    for i in range(config.num_hidden_layers):
        x, cache = block_forward(config, sites, weights, i, x, batch, tables, past)
        caches.append(cache)
    if past is not None:
        past.length += length
    extra = length - T
    if extra:
        x = np.ascontiguousarray(x.reshape(batch, length, -1)[:, extra:]).reshape(batch * T, -1)  # (N, d)
    n, cn = sites.ops.rmsnorm_forward(x, weights["model.norm.weight"], config.rms_norm_eps)
    if config.tie_word_embeddings:
        weights = {"lm_head.weight": E.T}
    logits, ch = linear_forward(sites, weights, "lm_head", n)  # (N, V)
    head_input = n if config.tie_word_embeddings and "model.embed_tokens.weight" in sites.arrays else None
    return logits, (config, sites, (batch, T, extra), ce, caches, cn, ch, head_input)


def backward(dlogits, cache):
    """dlogits (batch * T, V) -> gradients of the trainable arrays, name -> array of its shape."""
    config, sites, (batch, T, extra), ce, caches, cn, ch, head_input = cache
    grads = {}
    lowest = lowest_layer(tuple(sites.arrays), config.num_hidden_layers)
    if head_input is not None:
        add_grad(grads, "model.embed_tokens.weight", np.ascontiguousarray((head_input.T @ dlogits).T))  # (V, d)    logits = n E.T
    dn = linear_backward(sites, "lm_head", dlogits, ch, grads)  # (N, d)
    dx = norm_backward(sites, "model.norm", dn, cn, grads)  # (N, d)
    if extra:
        full = np.zeros((batch, extra + T, dx.shape[1]), dx.dtype)  # (batch, P + T, d)
        full[:, extra:] = dx.reshape(batch, T, -1)
        dx = full.reshape(batch * (extra + T), -1)  # (batch * (P + T), d)
    for i in reversed(range(max(lowest, 0), config.num_hidden_layers)):
        dx = block_backward(config, sites, i, dx, caches[i], grads, need_dx=i > lowest)
    if lowest < 0:
        dx = sites.input_backward(dx.reshape(batch, extra + T, -1), grads).reshape(batch * T, -1)  # (N, d)
        sites.embedding_backward(dx, ce, grads)
        if "model.embed_tokens.weight" in sites.arrays:
            add_grad(grads, "model.embed_tokens.weight", sites.ops.embedding_backward(dx, ce))  # (V, d)
    return grads


def loss(config, weights, tokens, targets, sites=None, count=None):
    """The mean negative log-likelihood of targets (batch, T), nats a token -> loss, the cache for loss_backward."""
    logits, cache = forward(config, weights, tokens, sites)
    value, ce = cache[1].ops.cross_entropy_forward(logits, targets.reshape(-1), count)
    return value, (ce, cache)


def loss_backward(cache):
    """-> gradients of the trainable arrays."""
    ce, cache = cache
    return backward(cache[1].ops.cross_entropy_backward(ce), cache)
