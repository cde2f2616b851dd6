"""The compiled twin of minilora/adamw.py: one pass over parameters, gradient and moments in place of a dozen."""

import numpy as np

from minilora.kernels.compile import compiled


@compiled
def step_elements(p, g, m, v, rate, decay, beta1, beta2, correction1, correction2, epsilon):
    one = p.dtype.type(1)
    for i in range(p.size):
        m[i] += (one - beta1) * (g[i] - m[i])
        v[i] += (one - beta2) * (g[i] * g[i] - v[i])
        p[i] *= one - rate[i] * decay[i]
        p[i] -= rate[i] * correction1 * m[i] / (np.sqrt(v[i] * correction2) + epsilon)


def adamw_step(p, g, m, v, t, rate, decay=0.0, beta1=0.9, beta2=0.999, epsilon=1e-8):
    rate, decay = (np.ascontiguousarray(np.broadcast_to(value, p.shape), p.dtype) for value in (rate, decay))  # (P,) each
    numbers = (beta1, beta2, 1 / (1 - beta1**t), 1 / (1 - beta2**t), epsilon)
    step_elements(p, g, m, v, rate, decay, *map(p.dtype.type, numbers))
