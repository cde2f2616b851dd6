"""minilora's side of the comparisons with PyTorch, live (tests/parity) and golden: what a model says, what it learns, and do two agree?"""

import numpy as np

from minilora.files.huggingface import turned
from minilora.files.peft import PREFIX
from minilora.training.gradients import step_gradients, workers
from minilora.training.loop import start
from minilora.transformer import forward
from minilora.transformer.model import loss, loss_backward


def run(config, weights, tokens, targets, sites):
    """-> {logits, loss}, name -> gradient of each array that trains."""
    value, cache = loss(config, weights, tokens, targets, sites)
    return {"logits": forward(config, weights, tokens, sites)[0], "loss": value}, loss_backward(cache)


def train(config, base, method, arrays, ops, tokens, targets, rates, decay, limit, beta1, beta2, epsilon):
    """A step for each of the rates and batches of tokens and targets (steps, rows, T) -> the losses before each step, the gradients' norms.

    The decay is for matrices only.
    """
    state = start(method, arrays)
    shapes = {name: state.arrays[name].shape for name in method.trainable(state.arrays)}
    decays = np.concatenate([np.full(np.prod(shape), decay * (len(shape) > 1), state.p.dtype) for shape in shapes.values()])  # (P,)
    losses, norms = [], []
    with workers(2) as pool:
        for step, (rate, rows, wanted) in enumerate(zip(rates, tokens, targets, strict=True)):
            value, grads = step_gradients(
                pool, config, base, method, state.arrays, ops, rows, wanted, shards=2, accumulation=1, seed=(0, step)
            )
            g = np.concatenate([grads[name].ravel() for name in shapes])  # (P,)
            norms.append(ops.clip(g, limit))
            ops.adamw_step(state.p, g, state.m, state.v, step + 1, rate, decays, beta1, beta2, epsilon)
            losses.append(value)
    return losses, norms


def base_grads(grads):
    """A base's gradients as PyTorch has them, turned as minilora has them."""
    return {name: turned(name, grad) for name, grad in grads.items()}


def adapter_grads(grads, method, config):
    """An adapter's gradients as PEFT names and turns them, as minilora does."""
    return {name: grads[PREFIX + stored].T for name, stored in method.peft_names(config).items()}


def assert_agree(found, expected, tolerance):
    """The same names and shapes, and no number further from its like than `tolerance` times the largest value of its array."""
    assert found.keys() == expected.keys()
    for name in expected:
        left, right = np.asarray(found[name]), np.asarray(expected[name])
        assert left.shape == right.shape, f"{name}: {left.shape} and {right.shape}"
        difference = np.abs(left - right).max() / np.abs(right).max()
        assert difference <= tolerance, f"{name}: {difference:.1e} of the largest value, {tolerance:.0e} allowed"
