ANSWERS = {
    "lora_dz": {
        "right": ["dy @ (s * B).T", "s * np.einsum('nk,rk->nr', dy, B)", "(B @ dy.T * s).T"],
        "wrong": {
            "alpha in place of alpha / r": "s * len(B) * (dy @ B.T)",
            "a missing scale": "dy @ B.T",
            "the scale twice": "s * s * (dy @ B.T)",
            "divided by the scale": "dy @ B.T / s",
            "B not transposed": "s * (dy @ B)",
            "transposed": "s * (B @ dy.T)",
            "averaged over the tokens": "s * (dy @ B.T) / len(dy)",
        },
    },
    "lora_dB": {
        "right": ["(s * z).T @ dy", "s * sum(np.outer(a, b) for a, b in zip(z, dy))", "s * np.einsum('nr,nk->rk', z, dy)"],
        "wrong": {
            "alpha in place of alpha / r": "s * z.shape[1] * (z.T @ dy)",
            "a missing scale": "z.T @ dy",
            "the scale twice": "s * s * (z.T @ dy)",
            "transposed": "s * (dy.T @ z)",
            "averaged over the tokens": "s * (z.T @ dy) / len(z)",
            "z not transposed": "s * (z @ dy)",
            "the last token forgotten": "s * (z[:-1].T @ dy[:-1])",
        },
    },
    "lora_dA": {
        "right": ["(dz.T @ x).T", "np.einsum('nd,nr->dr', x, dz)"],
        "wrong": {
            "transposed": "dz.T @ x",
            "the scale again": "2.0 * x.T @ dz",
            "averaged over the tokens": "x.T @ dz / len(x)",
            "x not transposed": "x @ dz",
            "the sign": "-x.T @ dz",
            "the first token alone": "np.outer(x[0], dz[0])",
            "in float32": "(x.T @ dz).astype(np.float32)",
        },
    },
    "lora_dx": {
        "right": ["dz @ A.T + dy @ W.T", "np.hstack([dy, dz]) @ np.hstack([W, A]).T"],
        "wrong": {
            "the low-rank path forgotten": "dy @ W.T",
            "the frozen path forgotten": "dz @ A.T",
            "the scale again": "dy @ W.T + 2.0 * dz @ A.T",
            "A and W swapped": "dy @ A.T + dz @ W.T",
            "not transposed": "dy @ W + dz @ A",
            "transposed": "W @ dy.T + A @ dz.T",
            "subtracted": "dy @ W.T - dz @ A.T",
            "averaged": "(dy @ W.T + dz @ A.T) / 2",
        },
    },
    "lora_backward": {
        "right": [
            "G = x.T @ dy\nreturn dy @ (W + s * A @ B).T, s * G @ B.T, s * A.T @ G",
            "g = s * dy\nreturn dy @ W.T + g @ B.T @ A.T, x.T @ (g @ B.T), (x @ A).T @ g",
        ],
        "wrong": {
            "alpha in place of alpha / r": ("t = s * len(B)\ndz = t * dy @ B.T\nreturn dy @ W.T + dz @ A.T, x.T @ dz, t * (x @ A).T @ dy"),
            "a missing scale in dB": "dz = s * dy @ B.T\nreturn dy @ W.T + dz @ A.T, x.T @ dz, (x @ A).T @ dy",
            "a missing scale in dz": "dz = dy @ B.T\nreturn dy @ W.T + dz @ A.T, x.T @ dz, s * (x @ A).T @ dy",
            "the scale twice in dA": "dz = s * dy @ B.T\nreturn dy @ W.T + dz @ A.T, s * x.T @ dz, s * (x @ A).T @ dy",
            "dx without the low-rank path": "dz = s * dy @ B.T\nreturn dy @ W.T, x.T @ dz, s * (x @ A).T @ dy",
            "dx without the frozen path": "dz = s * dy @ B.T\nreturn dz @ A.T, x.T @ dz, s * (x @ A).T @ dy",
            "dA and dB swapped": "dz = s * dy @ B.T\nreturn dy @ W.T + dz @ A.T, s * (x @ A).T @ dy, x.T @ dz",
            "dA transposed": "dz = s * dy @ B.T\nreturn dy @ W.T + dz @ A.T, dz.T @ x, s * (x @ A).T @ dy",
            "a dW as well": "dz = s * dy @ B.T\nreturn dy @ W.T + dz @ A.T, x.T @ dz, s * (x @ A).T @ dy, x.T @ dy",
            "dB from dz": "dz = s * dy @ B.T\nreturn dy @ W.T + dz @ A.T, x.T @ dz, s * dz.T @ dy",
        },
    },
    "pair_gradient": {
        "right": ["s * np.einsum('dk,rk->dr', G, B), s * np.einsum('dr,dk->rk', A, G)", "(s * B @ G.T).T, (G.T @ (s * A)).T"],
        "wrong": {
            "alpha in place of alpha / r": "s * len(B) * G @ B.T, s * len(B) * A.T @ G",
            "a missing scale": "G @ B.T, A.T @ G",
            "the scale in dA alone": "s * G @ B.T, A.T @ G",
            "A and B swapped": "s * A.T @ G, s * G @ B.T",
            "transposed": "s * B @ G.T, s * G.T @ A",
            "B not transposed": "s * G @ B, s * A.T @ G",
            "subtracted": "-s * G @ B.T, -s * A.T @ G",
        },
    },
    "scale_gradient": {
        "right": ["np.vdot(dy, z @ B)", "float((dy * (z @ B)).sum())", "np.trace(dy.T @ z @ B)"],
        "wrong": {
            "a mean": "np.mean(dy * (z @ B))",
            "a matrix": "dy * (z @ B)",
            "a sum over the tokens alone": "np.sum(dy * (z @ B), axis=0)",
            "dy forgotten": "np.sum(z @ B)",
            "the scale itself in it": "2.0 * np.sum(dy * (z @ B))",
            "the first token alone": "np.sum(dy[0] * (z[0] @ B))",
            "a matrix product of the sums": "float(dy.sum() * (z @ B).sum())",
        },
    },
    "dropout_backward": {
        "right": [
            "M = x * mask\nG = M.T @ dy\nreturn dy @ W.T + s * mask * (dy @ (A @ B).T), s * G @ B.T, s * A.T @ G",
            "dz = (s * dy) @ B.T\nreturn dy @ W.T + mask * (dz @ A.T), (mask * x).T @ dz, (s * (mask * x) @ A).T @ dy",
        ],
        "wrong": {
            "no mask in dA": "m = x * mask\ndz = s * dy @ B.T\nreturn dy @ W.T + (dz @ A.T) * mask, x.T @ dz, s * (m @ A).T @ dy",
            "no mask in dx": "m = x * mask\ndz = s * dy @ B.T\nreturn dy @ W.T + dz @ A.T, m.T @ dz, s * (m @ A).T @ dy",
            "no mask in dB": "m = x * mask\ndz = s * dy @ B.T\nreturn dy @ W.T + (dz @ A.T) * mask, m.T @ dz, s * (x @ A).T @ dy",
            "the frozen path masked": "m = x * mask\ndz = s * dy @ B.T\nreturn (dy @ W.T + dz @ A.T) * mask, m.T @ dz, s * (m @ A).T @ dy",
            "a mask of zeros and ones": (
                "q = mask > 0\nm = x * q\ndz = s * dy @ B.T\nreturn dy @ W.T + (dz @ A.T) * q, m.T @ dz, s * (m @ A).T @ dy"
            ),
            "a missing scale": "m = x * mask\ndz = dy @ B.T\nreturn dy @ W.T + (dz @ A.T) * mask, m.T @ dz, (m @ A).T @ dy",
            "alpha in place of alpha / r": (
                "m = x * mask\nt = s * len(B)\ndz = t * dy @ B.T\nreturn dy @ W.T + (dz @ A.T) * mask, m.T @ dz, t * (m @ A).T @ dy"
            ),
            "x masked in place": "x *= mask\ndz = s * dy @ B.T\nreturn dy @ W.T + (dz @ A.T) * mask, x.T @ dz, s * (x @ A).T @ dy",
        },
    },
    "accumulate_dx": {
        "right": ["np.add(dx, dy @ W.T, out=dx)", "dx[:] = dx + dy @ W.T", "for n in range(len(dx)):\n    dx[n] += W @ dy[n]"],
        "wrong": {
            "a new array": "dx = dx + dy @ W.T",
            "a new array, returned": "dx + dy @ W.T",
            "what was there lost": "dx[:] = dy @ W.T",
            "added twice": "dx += 2 * dy @ W.T",
            "subtracted": "dx -= dy @ W.T",
            "not transposed": "dx += dy @ W",
            "dy changed as well": "dx += dy @ W.T\ndy *= 0",
        },
    },
    "embedding_pair_backward": {
        "right": [
            "onehot = np.eye(len(A))[tokens]\nreturn s * onehot.T @ dx @ B.T, s * (onehot @ A).T @ dx",
            "dA = np.zeros(A.shape)\nfor n, t in enumerate(tokens):\n    dA[t] += s * B @ dx[n]\nreturn dA, s * A[tokens].T @ dx",
        ],
        "wrong": {
            "assigned, not added": "dA = np.zeros_like(A)\ndA[tokens] = s * dx @ B.T\nreturn dA, s * A[tokens].T @ dx",
            "added once for each token": "dA = np.zeros_like(A)\ndA[tokens] += s * dx @ B.T\nreturn dA, s * A[tokens].T @ dx",
            "a missing scale": "dA = np.zeros_like(A)\nnp.add.at(dA, tokens, dx @ B.T)\nreturn dA, A[tokens].T @ dx",
            "alpha in place of alpha / r": (
                "t = s * len(B)\ndA = np.zeros_like(A)\nnp.add.at(dA, tokens, t * dx @ B.T)\nreturn dA, t * A[tokens].T @ dx"
            ),
            "a row for each position": "s * dx @ B.T, s * A[tokens].T @ dx",
            "dB transposed": "dA = np.zeros_like(A)\nnp.add.at(dA, tokens, s * dx @ B.T)\nreturn dA, s * dx.T @ A[tokens]",
            "dA and dB swapped": "dA = np.zeros_like(A)\nnp.add.at(dA, tokens, s * dx @ B.T)\nreturn s * A[tokens].T @ dx, dA",
            "added to A itself": "np.add.at(A, tokens, s * dx @ B.T)\nreturn A, s * A[tokens].T @ dx",
        },
    },
    "central_difference": {
        "right": [
            "g = np.empty(x.shape)\nfor i in np.ndindex(x.shape):\n    e = np.zeros(x.shape)\n    e[i] = h\n"
            "    g[i] = (f(x + e) - f(x - e)) / h / 2\nreturn g",
            "E = np.eye(x.size).reshape(-1, *x.shape) * h\nreturn np.array([f(x + e) - f(x - e) for e in E]).reshape(x.shape) / (2 * h)",
        ],
        "wrong": {
            "a forward difference": (
                "g = np.zeros_like(x)\nfor i in np.ndindex(x.shape):\n"
                "    y = x.copy()\n    y[i] += h\n    g[i] = (f(y) - f(x)) / h\nreturn g"
            ),
            "divided by h": (
                "g = np.zeros_like(x)\nfor i in np.ndindex(x.shape):\n    e = np.zeros_like(x)\n    e[i] = h\n"
                "    g[i] = (f(x + e) - f(x - e)) / h\nreturn g"
            ),
            "all entries at once": "(f(x + h) - f(x - h)) / (2 * h)",
            "another step": (
                "g = np.zeros_like(x)\nfor i in np.ndindex(x.shape):\n    e = np.zeros_like(x)\n    e[i] = h / 2\n"
                "    g[i] = (f(x + e) - f(x - e)) / h\nreturn g"
            ),
            "x not put back": (
                "g = np.zeros_like(x)\nfor i in np.ndindex(x.shape):\n    x[i] += h\n    a = f(x)\n    x[i] -= 2 * h\n"
                "    g[i] = (a - f(x)) / (2 * h)\nreturn g"
            ),
            "the wrong way round": (
                "g = np.zeros_like(x)\nfor i in np.ndindex(x.shape):\n    e = np.zeros_like(x)\n    e[i] = h\n"
                "    g[i] = (f(x - e) - f(x + e)) / (2 * h)\nreturn g"
            ),
        },
    },
}
