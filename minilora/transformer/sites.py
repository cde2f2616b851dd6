"""The places where a method may change the frozen model, with the default answer at each: nothing changes.

There are four kinds: a linear layer or embedding lookup; the keys and values of an attention; the output of a sub-layer before the
residual; the input embedding. The model asks at each site and passes on what it is answered; a method subclasses Sites and
overrides the sites that it uses. `grads` is the dictionary that a backward adds its arrays' gradients to.
"""

import functools
import re

from minilora.ops import reference


def add_grad(grads, name, grad):
    """Add to the gradient of `name`: an array that serves at two sites receives both contributions."""
    if name in grads:
        grads[name] += grad
    else:
        grads[name] = grad


class Sites:
    """The base as it is.

    arrays: name -> trainable array. One that bears the name of a base array stands in its place (a copy that trains, or a bias that the
    base does not have); the others belong to the method's own sites. ops: the functions to run on, by default the readable ones.
    """

    position_offset = 0  # the rotary position of the first token
    positions = 0  # of the context, that the method takes for itself: a learned prefix or prompt

    def __init__(self, arrays=None, ops=None):
        self.arrays = arrays or {}
        self.ops = ops or reference()

    def linear_forward(self, name, x, W):
        """The linear layer `name`: x (N, d), W (d, k) -> y (N, k), cache."""
        return self.ops.linear_forward(x, W), None

    def linear_backward(self, name, dy, W, cache, grads, into=None, need_dx=True):
        """dy (N, k) -> dx (N, d), added to `into` where given; None if `need_dx` is false."""
        return self.ops.linear_backward(dy, W, into) if need_dx else into

    def embedding_forward(self, tokens, E):
        """tokens (N,), E (V, d) -> x (N, d), cache."""
        return self.ops.embedding_forward(tokens, E)

    def embedding_backward(self, dx, cache, grads):
        """dx (N, d): what the lookup's own arrays receive, beside E itself."""

    def attention_forward(self, layer, q, k, v):
        """q (batch, H, T, c), k and v (batch, G, S, c) -> o (batch, H, T, c), cache."""
        return self.ops.attention_forward(q, k, v)

    def attention_backward(self, layer, do, cache, grads):
        """do (batch, H, T, c) -> dq, dk, dv."""
        return self.ops.attention_backward(do, cache)

    def sublayer_forward(self, name, h):
        """The output h (N, d) of `model.layers.i.self_attn` or `.mlp`, before it is added to the residual stream -> h, cache."""
        return h, None

    def sublayer_backward(self, name, dh, cache, grads):
        return dh

    def input_forward(self, x):
        """The input embedding x (batch, T, d) -> (batch, P + T, d), with P >= 0 learned positions before the text."""
        return x

    def input_backward(self, dx, grads):
        """dx (batch, P + T, d) -> dx (batch, T, d)."""
        return dx


@functools.lru_cache(maxsize=256)
def lowest_layer(names, num_layers):
    """The index of the lowest layer with a trainable array, given their names (a tuple), so that nothing is propagated below it.

    num_layers if only the head or the last norm train; -1 if something trains at the input.
    """
    lowest = num_layers
    for name in names:
        match = re.search(r"layers\.(\d+)\.", name)
        if match:
            lowest = min(lowest, int(match[1]))
        elif not name.startswith(("model.norm.", "lm_head.")):
            lowest = -1
    return lowest
