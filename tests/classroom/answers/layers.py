ANSWERS = {
    "linear_backward": {
        "right": ["(W @ dy.T).T, (dy.T @ x).T", "np.einsum('nk,dk->nd', dy, W), np.einsum('nd,nk->dk', x, dy)"],
        "wrong": {
            "W not transposed": "dy @ W, x.T @ dy",
            "dW transposed": "dy @ W.T, dy.T @ x",
            "dW averaged over the tokens": "dy @ W.T, x.T @ dy / len(x)",
            "dx and dW exchanged": "x.T @ dy, dy @ W.T",
            "dW alone": "x.T @ dy",
            "dW of the first token": "dy @ W.T, np.outer(x[0], dy[0])",
            "dx of the whole weight's sign": "-dy @ W.T, x.T @ dy",
        },
    },
    "bias_backward": {
        "right": ["np.ones(len(dy)) @ dy", "np.add.reduce(dy)"],
        "wrong": {
            "a mean": "dy.mean(axis=0)",
            "the other axis": "dy.sum(axis=1)",
            "a number": "dy.sum()",
            "not summed": "dy",
            "one token": "dy[0]",
            "an axis too many": "dy.sum(axis=0, keepdims=True)",
        },
    },
    "silu_backward": {
        "right": [
            "p = 1 / (1 + np.exp(-x))\nreturn dy * (p + x * p * (1 - p))",
            "p = 0.5 * (1 + np.tanh(x / 2))\ny = x * p\nreturn dy * (y + p * (1 - y))",
        ],
        "wrong": {
            "the sigmoid held constant": "dy / (1 + np.exp(-x))",
            "the sigmoid's own derivative": "p = 1 / (1 + np.exp(-x))\nreturn dy * p * (1 - p)",
            "a sign": "p = 1 / (1 + np.exp(-x))\nreturn dy * p * (1 - x * (1 - p))",
            "dy forgotten": "p = 1 / (1 + np.exp(-x))\nreturn p * (1 + x * (1 - p))",
            "the forward pass": "dy * x / (1 + np.exp(-x))",
            "x forgotten in the second term": "p = 1 / (1 + np.exp(-x))\nreturn dy * (p + p * (1 - p))",
            "relu's": "dy * (x > 0)",
        },
    },
    "swiglu_backward": {
        "right": [
            "p = 1 / (1 + np.exp(-gate))\ndg = dh * up\nreturn dg * p + dg * gate * p * (1 - p), dh * (gate * p)",
            "p = np.exp(gate) / (1 + np.exp(gate))\ny = gate * p\nreturn dh * up * (y + p * (1 - y)), dh * y",
        ],
        "wrong": {
            "up forgotten in dgate": "p = 1 / (1 + np.exp(-gate))\nreturn dh * p * (1 + gate * (1 - p)), dh * gate * p",
            "the sigmoid held constant": "p = 1 / (1 + np.exp(-gate))\nreturn dh * up * p, dh * gate * p",
            "gate forgotten in dup": "p = 1 / (1 + np.exp(-gate))\nreturn dh * up * p * (1 + gate * (1 - p)), dh * p",
            "silu forgotten in dup": "p = 1 / (1 + np.exp(-gate))\nreturn dh * up * p * (1 + gate * (1 - p)), dh * gate",
            "exchanged": "p = 1 / (1 + np.exp(-gate))\nreturn dh * gate * p, dh * up * p * (1 + gate * (1 - p))",
            "silu of up": "p = 1 / (1 + np.exp(-up))\nreturn dh * gate * p, dh * gate * p * (1 + up * (1 - p))",
        },
    },
    "rmsnorm_backward": {
        "right": [
            "m = np.mean(x * x, axis=1, keepdims=True) + eps\ng = dy * gain\n"
            "return g / m**0.5 - x * np.sum(g * x, axis=1, keepdims=True) / (x.shape[1] * m**1.5)",
            "d = x.shape[1]\nr = (np.sum(x**2, 1) / d + eps) ** -0.5\n"
            "return np.array([r[i] * (dy[i] * gain - r[i] ** 2 * x[i] * ((dy[i] * gain) @ x[i]) / d) for i in range(len(x))])",
        ],
        "wrong": {
            "rstd held constant": "dy * gain / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)",
            "gain forgotten": (
                "r = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)\nn = x * r\n"
                "return r * (dy - n * np.mean(dy * n, axis=-1, keepdims=True))"
            ),
            "a sum in place of the mean": (
                "r = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)\nn, g = x * r, dy * gain\n"
                "return r * (g - n * np.sum(g * n, axis=-1, keepdims=True))"
            ),
            "layer norm's": (
                "r = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)\nn, g = x * r, dy * gain\n"
                "return r * (g - g.mean(axis=-1, keepdims=True) - n * np.mean(g * n, axis=-1, keepdims=True))"
            ),
            "the mean over tokens": (
                "r = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)\nn, g = x * r, dy * gain\n"
                "return r * (g - n * np.mean(g * n, axis=0))"
            ),
            "added": (
                "r = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)\nn, g = x * r, dy * gain\n"
                "return r * (g + n * np.mean(g * n, axis=-1, keepdims=True))"
            ),
            "eps forgotten": (
                "r = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True))\nn, g = x * r, dy * gain\n"
                "return r * (g - n * np.mean(g * n, axis=-1, keepdims=True))"
            ),
            "x not normalised": (
                "r = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)\ng = dy * gain\n"
                "return r * (g - x * np.mean(g * x, axis=-1, keepdims=True))"
            ),
        },
    },
    "rmsnorm_gain_backward": {
        "right": [
            "np.einsum('nd,nd->d', dy, x / (np.mean(x**2, axis=1, keepdims=True) + eps) ** 0.5)",
            "(dy * x * (np.mean(x * x, -1) + eps)[:, None] ** -0.5).sum(0)",
        ],
        "wrong": {
            "x not normalised": "np.sum(dy * x, axis=0)",
            "a mean": "np.mean(dy * x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps), axis=0)",
            "the other axis": "np.sum(dy * x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps), axis=1)",
            "eps forgotten": "np.sum(dy * x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True)), axis=0)",
            "not summed": "dy * x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)",
            "the norm over tokens": "np.sum(dy * x / np.sqrt(np.mean(x * x, axis=0) + eps), axis=0)",
            "as for a bias": "dy.sum(axis=0)",
        },
    },
    "softmax": {
        "right": [
            "t = s - np.max(s, 1)[:, None]\nreturn np.exp(t - np.log(np.exp(t).sum(1))[:, None])",
            "1 / np.sum(np.exp(s[:, None, :] - s[:, :, None]), axis=2)",
        ],
        "wrong": {
            "nothing taken off": "np.exp(s) / np.exp(s).sum(axis=-1, keepdims=True)",
            "the largest of all": "e = np.exp(s - s.max())\nreturn e / e.sum(axis=-1, keepdims=True)",
            "over the columns": "e = np.exp(s - s.max(axis=0))\nreturn e / e.sum(axis=0)",
            "divided by everything": "e = np.exp(s - s.max(axis=-1, keepdims=True))\nreturn e / e.sum()",
            "not divided": "np.exp(s - s.max(axis=-1, keepdims=True))",
            "taken off in place": "s -= s.max(axis=-1, keepdims=True)\ne = np.exp(s)\nreturn e / e.sum(axis=-1, keepdims=True)",
            "the logarithm": "t = s - s.max(axis=-1, keepdims=True)\nreturn t - np.log(np.exp(t).sum(axis=-1, keepdims=True))",
        },
    },
    "softmax_backward": {
        "right": [
            "p * dp - p * (p * dp).sum(axis=1)[:, None]",
            "np.array([(np.diag(q) - np.outer(q, q)) @ g for g, q in zip(dp, p)])",
        ],
        "wrong": {
            "as if entries were apart": "dp * p * (1 - p)",
            "the sum forgotten": "p * dp",
            "a plain mean": "p * (dp - dp.mean(axis=-1, keepdims=True))",
            "over the columns": "p * (dp - np.sum(dp * p, axis=0))",
            "p forgotten in front": "dp - np.sum(dp * p, axis=-1, keepdims=True)",
            "p forgotten in the sum": "p * (dp - np.sum(dp, axis=-1, keepdims=True))",
            "added": "p * (dp + np.sum(dp * p, axis=-1, keepdims=True))",
        },
    },
    "cross_entropy_backward": {
        "right": [
            "p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)\nreturn (p - np.eye(logits.shape[1])[targets]) / len(logits)",
            "p = np.exp(logits - np.log(np.exp(logits).sum(1))[:, None])\nfor n, t in enumerate(targets):\n    p[n, t] -= 1\n"
            "return p / targets.size",
        ],
        "wrong": {
            "the mean forgotten": (
                "p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)\np[np.arange(len(p)), targets] -= 1\nreturn p"
            ),
            "divided by the vocabulary": (
                "p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)\np[np.arange(len(p)), targets] -= 1\nreturn p / p.shape[1]"
            ),
            "the target assigned": (
                "p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)\np[np.arange(len(p)), targets] = -1\nreturn p / len(p)"
            ),
            "the target forgotten": "p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)\nreturn p / len(p)",
            "whole columns": "p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)\np[:, targets] -= 1\nreturn p / len(p)",
            "turned round": (
                "p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)\np[np.arange(len(p)), targets] -= 1\nreturn -p / len(p)"
            ),
            "logits not softmaxed": "p = logits.copy()\np[np.arange(len(p)), targets] -= 1\nreturn p / len(p)",
        },
    },
    "embedding_backward": {
        "right": [
            "np.eye(V)[tokens].T @ dx",
            "dE = np.zeros((V, dx.shape[1]))\nfor n, t in enumerate(tokens):\n    dE[t] += dx[n]\nreturn dE",
        ],
        "wrong": {
            "assigned": "dE = np.zeros((V, dx.shape[1]))\ndE[tokens] = dx\nreturn dE",
            "added once for each token": "dE = np.zeros((V, dx.shape[1]))\ndE[tokens] += dx\nreturn dE",
            "a row for each position": "dx",
            "rows for the tokens that occur": ("dE = np.zeros((tokens.max() + 1, dx.shape[1]))\nnp.add.at(dE, tokens, dx)\nreturn dE"),
            "averaged": "n = np.bincount(tokens, minlength=V)\nreturn np.eye(V)[tokens].T @ dx / np.maximum(n, 1)[:, None]",
            "transposed": "dx.T @ np.eye(V)[tokens]",
        },
    },
    "rope_backward": {
        "right": [
            "c = cos.shape[1]\na, b = dy[:, :c], dy[:, c:]\nreturn np.hstack([a * cos + b * sin, b * cos - a * sin])",
            "c = cos.shape[1]\nw = (dy[:, :c] + 1j * dy[:, c:]) * (cos - 1j * sin)\nreturn np.hstack([w.real, w.imag])",
        ],
        "wrong": {
            "rotated on": "a, b = np.split(dy, 2, axis=-1)\nreturn np.hstack([a * cos - b * sin, b * cos + a * sin])",
            "not rotated": "dy.copy()",
            "neighbours paired": (
                "a, b = dy[:, 0::2], dy[:, 1::2]\nout = np.empty_like(dy)\nout[:, 0::2] = a * cos + b * sin\n"
                "out[:, 1::2] = b * cos - a * sin\nreturn out"
            ),
            "a mirror": "a, b = np.split(dy, 2, axis=-1)\nreturn np.hstack([a * cos + b * sin, b * cos + a * sin])",
            "halves exchanged": "a, b = np.split(dy, 2, axis=-1)\nreturn np.hstack([b * cos - a * sin, a * cos + b * sin])",
            "cos and sin exchanged": "a, b = np.split(dy, 2, axis=-1)\nreturn np.hstack([a * sin + b * cos, b * sin - a * cos])",
            "the first half alone": "a, b = np.split(dy, 2, axis=-1)\nreturn a * cos + b * sin",
        },
    },
    "attention_values_backward": {
        "right": ["(v @ do.T).T, (do.T @ p).T", "np.einsum('tc,sc->ts', do, v), np.einsum('ts,tc->sc', p, do)"],
        "wrong": {
            "p not transposed": "do @ v.T, p @ do",
            "exchanged": "p.T @ do, do @ v.T",
            "dv transposed": "do @ v.T, do.T @ p",
            "dp transposed": "v @ do.T, p.T @ do",
            "dv averaged over the queries": "do @ v.T, p.T @ do / len(p)",
            "the softmax in it already": "p * (do @ v.T), p.T @ do",
            "the scale of the scores": "do @ v.T / np.sqrt(v.shape[1]), p.T @ do",
        },
    },
    "attention_scores_backward": {
        "right": [
            "w = q.shape[-1] ** -0.5\nreturn w * ds @ k, w * (q.T @ ds).T",
            "g = ds * k.shape[1] ** -0.5\nreturn np.einsum('ts,sc->tc', g, k), np.einsum('ts,tc->sc', g, q)",
        ],
        "wrong": {
            "the root forgotten": "ds @ k, ds.T @ q",
            "the root in dq alone": "ds @ k / np.sqrt(q.shape[1]), ds.T @ q",
            "the root twice": "ds @ k / q.shape[1], ds.T @ q / q.shape[1]",
            "multiplied by the root": "ds @ k * np.sqrt(q.shape[1]), ds.T @ q * np.sqrt(q.shape[1])",
            "the number of keys": "ds @ k / np.sqrt(len(k)), ds.T @ q / np.sqrt(len(k))",
            "exchanged": "ds.T @ q / np.sqrt(q.shape[1]), ds @ k / np.sqrt(q.shape[1])",
            "ds not transposed": "ds @ k / np.sqrt(q.shape[1]), ds @ q / np.sqrt(q.shape[1])",
            "ds changed": "ds /= np.sqrt(q.shape[1])\nreturn ds @ k, ds.T @ q",
        },
    },
    "grouped_backward": {
        "right": [
            "n = len(dheads) // groups\nreturn np.array([dheads[g * n : (g + 1) * n].sum(axis=0) for g in range(groups)])",
            "np.add.reduceat(dheads, np.arange(0, len(dheads), len(dheads) // groups))",
        ],
        "wrong": {
            "dealt out in turn": "dheads.reshape(-1, groups, *dheads.shape[1:]).sum(axis=0)",
            "a mean": "dheads.reshape(groups, -1, *dheads.shape[1:]).mean(axis=1)",
            "the first head of each group": "dheads[:: len(dheads) // groups].copy()",
            "the last head of each group": "dheads[len(dheads) // groups - 1 :: len(dheads) // groups].copy()",
            "the first heads": "dheads[:groups].copy()",
            "all heads in every group": "np.repeat(dheads.sum(axis=0, keepdims=True), groups, axis=0)",
            "not summed": "dheads.reshape(groups, -1, *dheads.shape[1:])",
        },
    },
}
