ANSWERS = {
    "rslora_scale": {
        "right": ["alpha * r**-0.5", "alpha / r**0.5"],
        "wrong": {
            "LoRA's": "alpha / r",
            "alpha in place of it": "alpha",
            "the root of both": "np.sqrt(alpha / r)",
            "the root of alpha": "np.sqrt(alpha) / r",
            "upside down": "np.sqrt(r) / alpha",
            "a missing scale": "1.0",
        },
    },
    "column_norms": {
        "right": ["np.sqrt(((W + s * A @ B) ** 2).sum(axis=0))", "V = W + s * A @ B\nreturn np.diag(V.T @ V) ** 0.5"],
        "wrong": {
            "lengths of rows": "np.linalg.norm(W + s * A @ B, axis=1)",
            "the length of all": "np.linalg.norm(W + s * A @ B)",
            "the base alone": "np.linalg.norm(W, axis=0)",
            "a missing scale": "np.linalg.norm(W + A @ B, axis=0)",
            "alpha in place of alpha / r": "np.linalg.norm(W + s * len(B) * A @ B, axis=0)",
            "not rooted": "((W + s * A @ B) ** 2).sum(axis=0)",
            "lengths of the parts added": "np.linalg.norm(W, axis=0) + s * np.linalg.norm(A @ B, axis=0)",
            "A and B swapped": "np.linalg.norm(W + s * B @ A, axis=0)",
        },
    },
    "dora_backward": {
        "right": ["(dy * u / c).sum(0), dy * (m / c)", "np.einsum('nk,nk,k->k', dy, u, 1 / c), dy * m / c"],
        "wrong": {
            "c forgotten in dm": "np.sum(dy * u, axis=0), m / c * dy",
            "c forgotten in du": "np.sum(dy * u, axis=0) / c, m * dy",
            "m forgotten in du": "np.sum(dy * u, axis=0) / c, dy / c",
            "a mean": "np.mean(dy * u, axis=0) / c, m / c * dy",
            "m in dm": "m * np.sum(dy * u, axis=0) / c, m / c * dy",
            "not summed": "dy * u / c, m / c * dy",
            "exchanged": "m / c * dy, np.sum(dy * u, axis=0) / c",
            "over the outputs": "np.sum(dy * u, axis=1), m / c * dy",
        },
    },
    "ia3_backward": {
        "right": ["stretch * dy, np.einsum('nk,nk->k', dy, u)", "dy @ np.diag(stretch), np.diag(dy.T @ u).copy()"],
        "wrong": {
            "the stretch forgotten": "dy.copy(), np.sum(dy * u, axis=0)",
            "divided": "dy / stretch, np.sum(dy * u, axis=0)",
            "a mean": "dy * stretch, np.mean(dy * u, axis=0)",
            "not summed": "dy * stretch, dy * u",
            "the output in place of u": "dy * stretch, np.sum(dy * u * stretch, axis=0)",
            "exchanged": "np.sum(dy * u, axis=0), dy * stretch",
            "over the outputs": "dy * stretch, np.sum(dy * u, axis=1)",
            "as for a bias": "dy * stretch, dy.sum(axis=0)",
        },
    },
    "vera_backward": {
        "right": [
            "return np.einsum('nr,nk,k,rk->r', u, dy, b, B), np.einsum('nk,nr,r,rk->k', dy, u, a, B)",
            "M = u.T @ dy\nreturn (M * B) @ b, a @ (M * B)",
        ],
        "wrong": {
            "b forgotten in da": "np.sum((dy @ B.T) * u, axis=0), np.sum(dy * ((u * a) @ B), axis=0)",
            "a forgotten in db": "np.sum(((dy * b) @ B.T) * u, axis=0), np.sum(dy * (u @ B), axis=0)",
            "a in da": "np.sum(((dy * b) @ B.T) * u * a, axis=0), np.sum(dy * ((u * a) @ B), axis=0)",
            "b in db": "np.sum(((dy * b) @ B.T) * u, axis=0), np.sum(dy * b * ((u * a) @ B), axis=0)",
            "means": "np.mean(((dy * b) @ B.T) * u, axis=0), np.mean(dy * ((u * a) @ B), axis=0)",
            "exchanged": "np.sum(dy * ((u * a) @ B), axis=0), np.sum(((dy * b) @ B.T) * u, axis=0)",
            "u forgotten": "np.sum((dy * b) @ B.T, axis=0), np.sum(dy * ((u * a) @ B), axis=0)",
            "B not transposed": "np.sum(((dy * b) @ B) * u, axis=0), np.sum(dy * ((u * a) @ B), axis=0)",
        },
    },
    "lora_fa_backward": {
        "right": ["dy @ (W + s * A @ B).T, (s * z).T @ dy", "dy @ W.T + s * dy @ B.T @ A.T, s * (dy.T @ z).T"],
        "wrong": {
            "the frozen path alone": "dy @ W.T, s * z.T @ dy",
            "a missing scale": "dy @ W.T + dy @ B.T @ A.T, z.T @ dy",
            "a missing scale in dB": "dy @ W.T + s * dy @ B.T @ A.T, z.T @ dy",
            "alpha in place of alpha / r": "dy @ W.T + s * len(B) * dy @ B.T @ A.T, s * len(B) * z.T @ dy",
            "dB transposed": "dy @ W.T + s * dy @ B.T @ A.T, s * dy.T @ z",
            "A and B swapped": "dy @ W.T + s * dy @ A.T @ B.T, s * z.T @ dy",
            "a dA as well": "dy @ W.T + s * dy @ B.T @ A.T, s * z.T @ dy, A",
        },
    },
    "pissa_init": {
        "right": [
            "U, S, Vt = np.linalg.svd(W)\nq = np.sqrt(S[:r]) / np.sqrt(s)\nreturn -U[:, :r] * q, -(Vt[:r].T * q).T",
            "Ut, S, Vt = np.linalg.svd(W.T, full_matrices=False)\nD = np.diag((S[:r] / s) ** 0.5)\nreturn Vt[:r].T @ D, D @ Ut[:, :r].T",
        ],
        "wrong": {
            "a missing scale": "U, S, Vt = np.linalg.svd(W)\nq = np.sqrt(S[:r])\nreturn U[:, :r] * q, q[:, None] * Vt[:r]",
            "the scale in one factor's root alone": (
                "U, S, Vt = np.linalg.svd(W)\nreturn U[:, :r] * np.sqrt(S[:r]), np.sqrt(S[:r] / s)[:, None] * Vt[:r]"
            ),
            "all in A": "U, S, Vt = np.linalg.svd(W)\nreturn U[:, :r] * S[:r] / s, Vt[:r].copy()",
            "whole values in both": "U, S, Vt = np.linalg.svd(W)\nreturn U[:, :r] * S[:r] / s, S[:r, None] * Vt[:r]",
            "the smallest directions": (
                "U, S, Vt = np.linalg.svd(W, full_matrices=False)\nq = np.sqrt(S[-r:] / s)\nreturn U[:, -r:] * q, q[:, None] * Vt[-r:]"
            ),
            "rows of U": (
                "U, S, Vt = np.linalg.svd(W, full_matrices=False)\nq = np.sqrt(S[:r] / s)\nreturn U[:r].T * q, q[:, None] * Vt[:r]"
            ),
            "columns of Vt": "U, S, Vt = np.linalg.svd(W)\nq = np.sqrt(S[:r] / s)\nreturn U[:, :r] * q, q[:, None] * Vt[:, :r].T",
            "A and B swapped": "U, S, Vt = np.linalg.svd(W)\nq = np.sqrt(S[:r] / s)\nreturn q[:, None] * Vt[:r], U[:, :r] * q",
            "one direction too few": (
                "U, S, Vt = np.linalg.svd(W)\nq = np.sqrt(S[:r] / s)\nq[-1] = 0\nreturn U[:, :r] * q, q[:, None] * Vt[:r]"
            ),
            "a tuple of one": "(W,)",
        },
    },
    "prefix_backward": {
        "right": ["K, k = np.split(dkeys, [p], axis=1)\nreturn sum(K), k", "np.einsum('bpc->pc', dkeys[:, :p]), dkeys[:, p:].copy()"],
        "wrong": {
            "a mean over the batch": "dkeys[:, :p].mean(axis=0), dkeys[:, p:]",
            "not summed": "dkeys[:, :p], dkeys[:, p:]",
            "one row of the batch": "dkeys[0, :p], dkeys[:, p:]",
            "the prefix at the end": "dkeys[:, -p:].sum(axis=0), dkeys[:, :-p]",
            "exchanged": "dkeys[:, p:], dkeys[:, :p].sum(axis=0)",
            "cut along the batch": "dkeys[:p].sum(axis=0), dkeys[p:]",
            "the prefix left in dk": "dkeys[:, :p].sum(axis=0), dkeys",
        },
    },
    "bottleneck_backward": {
        "right": [
            "q = np.maximum(h @ D, 0)\ng = np.where(q > 0, do @ U.T, 0)\nreturn g @ D.T + do, (g.T @ h).T, (do.T @ q).T",
            "z = h @ D\non = (z > 0).astype(float)\ng = on * (do @ U.T)\nreturn do + g @ D.T, h.T @ g, (z * on).T @ do",
        ],
        "wrong": {
            "the way around forgotten": "z = h @ D\ng = (do @ U.T) * (z > 0)\nreturn g @ D.T, h.T @ g, np.maximum(z, 0).T @ do",
            "relu forgotten on the way back": "z = h @ D\ng = do @ U.T\nreturn do + g @ D.T, h.T @ g, np.maximum(z, 0).T @ do",
            "relu forgotten in dU": "z = h @ D\ng = (do @ U.T) * (z > 0)\nreturn do + g @ D.T, h.T @ g, z.T @ do",
            "z in place of its sign": "z = h @ D\ng = (do @ U.T) * np.maximum(z, 0)\nreturn do + g @ D.T, h.T @ g, np.maximum(z, 0).T @ do",
            "where z is negative": "z = h @ D\ng = (do @ U.T) * (z < 0)\nreturn do + g @ D.T, h.T @ g, np.maximum(z, 0).T @ do",
            "dD transposed": "z = h @ D\ng = (do @ U.T) * (z > 0)\nreturn do + g @ D.T, g.T @ h, np.maximum(z, 0).T @ do",
            "dD and dU exchanged": "z = h @ D\ng = (do @ U.T) * (z > 0)\nreturn do + g @ D.T, np.maximum(z, 0).T @ do, h.T @ g",
            "relu of the gradient": "z = h @ D\ng = np.maximum(do @ U.T, 0)\nreturn do + g @ D.T, h.T @ g, np.maximum(z, 0).T @ do",
        },
    },
}
