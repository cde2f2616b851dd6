ANSWERS = {
    "corrected_mean": {
        "right": [
            "t = len(gradients)\nw = beta ** np.arange(t)[::-1]\nreturn w @ gradients / w.sum()",
            "m = 0\nfor t, g in enumerate(gradients, 1):\n    m = m + (1 - beta) * (g - m)\nreturn m / (1 - beta**t)",
        ],
        "wrong": {
            "not corrected": "m = 0\nfor g in gradients:\n    m = beta * m + (1 - beta) * g\nreturn m",
            "a plain mean": "gradients.mean(axis=0)",
            "corrected as after one step": "m = 0\nfor g in gradients:\n    m = beta * m + (1 - beta) * g\nreturn m / (1 - beta)",
            "beta and 1 - beta exchanged": (
                "m = 0\nfor g in gradients:\n    m = (1 - beta) * m + beta * g\nreturn m / (1 - beta ** len(gradients))"
            ),
            "corrected within the loop": (
                "m = 0\nfor t, g in enumerate(gradients, 1):\n    m = (beta * m + (1 - beta) * g) / (1 - beta**t)\nreturn m"
            ),
            "counted from 0": ("m = 0\nfor t, g in enumerate(gradients):\n    m = beta * m + (1 - beta) * g\nreturn m / (1 - beta**t)"),
            "the last gradient": "gradients[-1].copy()",
        },
    },
    "adamw_step": {
        "right": [
            "m = m + (1 - beta1) * (g - m)\nv = v + (1 - beta2) * (g**2 - v)\na, b = m / (1 - beta1**t), v / (1 - beta2**t)\n"
            "return p - rate * (decay * p + a / (epsilon + b**0.5)), m, v",
            "m, v = m * beta1 + g * (1 - beta1), v * beta2 + np.square(g) * (1 - beta2)\nq = p.copy()\nq *= 1 - rate * decay\n"
            "q -= rate / (1 - beta1**t) * m / (np.sqrt(v / (1 - beta2**t)) + epsilon)\nreturn q, m, v",
        ],
        "wrong": {
            "the decay in the gradient, as L2": (
                "g = g + decay * p\nm = beta1 * m + (1 - beta1) * g\nv = beta2 * v + (1 - beta2) * g * g\n"
                "return p - rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon), m, v"
            ),
            "not corrected": (
                "m = beta1 * m + (1 - beta1) * g\nv = beta2 * v + (1 - beta2) * g * g\n"
                "return p * (1 - rate * decay) - rate * m / (np.sqrt(v) + epsilon), m, v"
            ),
            "epsilon inside of the root": (
                "m = beta1 * m + (1 - beta1) * g\nv = beta2 * v + (1 - beta2) * g * g\n"
                "return p * (1 - rate * decay) - rate * (m / (1 - beta1**t)) / np.sqrt(v / (1 - beta2**t) + epsilon), m, v"
            ),
            "no root": (
                "m = beta1 * m + (1 - beta1) * g\nv = beta2 * v + (1 - beta2) * g * g\n"
                "return p * (1 - rate * decay) - rate * (m / (1 - beta1**t)) / (v / (1 - beta2**t) + epsilon), m, v"
            ),
            "the decay without the rate": (
                "m = beta1 * m + (1 - beta1) * g\nv = beta2 * v + (1 - beta2) * g * g\n"
                "return p * (1 - decay) - rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon), m, v"
            ),
            "corrected moments kept": (
                "m = (beta1 * m + (1 - beta1) * g) / (1 - beta1**t)\nv = (beta2 * v + (1 - beta2) * g * g) / (1 - beta2**t)\n"
                "return p * (1 - rate * decay) - rate * m / (np.sqrt(v) + epsilon), m, v"
            ),
            "uphill": (
                "m = beta1 * m + (1 - beta1) * g\nv = beta2 * v + (1 - beta2) * g * g\n"
                "return p * (1 - rate * decay) + rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon), m, v"
            ),
            "the old moments in the step": (
                "q = p * (1 - rate * decay) - rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon)\n"
                "return q, beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g"
            ),
            "in place": (
                "m += (1 - beta1) * (g - m)\nv += (1 - beta2) * (g * g - v)\np *= 1 - rate * decay\n"
                "p -= rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon)\nreturn p, m, v"
            ),
        },
    },
    "clip_factors": {
        "right": [
            "n = np.sqrt((g * g).sum(axis=1))\nreturn np.where(n > limit, limit / n, 1.0)",
            "np.array([min(1.0, limit / np.sqrt(row @ row)) for row in g])",
        ],
        "wrong": {
            "short ones made longer": "limit / np.linalg.norm(g, axis=1)",
            "the norm of all rows together": "np.full(len(g), min(1.0, limit / np.linalg.norm(g)))",
            "the largest entry": "np.minimum(1, limit / np.abs(g).max(axis=1))",
            "the square forgotten to be undone": "np.minimum(1, limit / (g * g).sum(axis=1))",
            "upside down": "np.minimum(1, np.linalg.norm(g, axis=1) / limit)",
            "the clipped gradients": "g * np.minimum(1, limit / np.linalg.norm(g, axis=1))[:, None]",
            "over the columns": "np.minimum(1, limit / np.linalg.norm(g, axis=0))",
        },
    },
    "learning_rates": {
        "right": [
            "rise = np.arange(1, warmup + 1) / warmup\nq = np.arange(steps - warmup) / (steps - warmup)\n"
            "return np.concatenate([rise, floor + (1 - floor) * np.cos(np.pi * q / 2) ** 2])",
            "from math import cos, pi\nreturn np.array([(t + 1) / warmup if t < warmup else floor + (1 - floor) * "
            "(1 + cos(pi * (t - warmup) / (steps - warmup))) / 2 for t in range(steps)])",
        ],
        "wrong": {
            "a first step of zero": (
                "t = np.arange(steps)\nf = floor + (1 - floor) * (1 + np.cos(np.pi * (t - warmup) / (steps - warmup))) / 2\n"
                "return np.where(t < warmup, t / warmup, f)"
            ),
            "the floor forgotten": (
                "t = np.arange(steps)\nf = (1 + np.cos(np.pi * (t - warmup) / (steps - warmup))) / 2\n"
                "return np.where(t < warmup, (t + 1) / warmup, f)"
            ),
            "the floor added": (
                "t = np.arange(steps)\nf = floor + (1 + np.cos(np.pi * (t - warmup) / (steps - warmup))) / 2\n"
                "return np.where(t < warmup, (t + 1) / warmup, f)"
            ),
            "a fall that began at step 0": (
                "t = np.arange(steps)\nf = floor + (1 - floor) * (1 + np.cos(np.pi * t / steps)) / 2\n"
                "return np.where(t < warmup, (t + 1) / warmup, f)"
            ),
            "a whole cosine": (
                "t = np.arange(steps)\nf = floor + (1 - floor) * (1 + np.cos(2 * np.pi * (t - warmup) / (steps - warmup))) / 2\n"
                "return np.where(t < warmup, (t + 1) / warmup, f)"
            ),
            "a straight line": (
                "t = np.arange(steps)\nf = floor + (1 - floor) * (1 - (t - warmup) / (steps - warmup))\n"
                "return np.where(t < warmup, (t + 1) / warmup, f)"
            ),
            "no warmup": "t = np.arange(steps)\nreturn floor + (1 - floor) * (1 + np.cos(np.pi * t / steps)) / 2",
        },
    },
    "combine_shards": {
        "right": ["np.average(g, axis=0, weights=counts)", "sum(c * row for c, row in zip(counts, g)) / sum(counts)"],
        "wrong": {
            "a mean of means": "g.mean(axis=0)",
            "a sum of means": "g.sum(axis=0)",
            "not divided": "counts @ g",
            "divided by the number of shards": "counts @ g / len(counts)",
            "weighted the wrong way round": "(1 / counts) @ g / (1 / counts).sum()",
            "the largest shard alone": "g[counts.argmax()].copy()",
        },
    },
}
