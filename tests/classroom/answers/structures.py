ANSWERS = {
    "best_rank": {
        "right": [
            "U, S, Vt = np.linalg.svd(W)\nreturn sum(S[i] * np.outer(U[:, i], Vt[i]) for i in range(r))",
            "_, V = np.linalg.eigh(W.T @ W)\nV = V[:, -r:]\nreturn W @ V @ V.T",
        ],
        "wrong": {
            "the smallest directions": "U, S, Vt = np.linalg.svd(W, full_matrices=False)\nreturn (U[:, -r:] * S[-r:]) @ Vt[-r:]",
            "singular values forgotten": "U, S, Vt = np.linalg.svd(W)\nreturn U[:, :r] @ Vt[:r]",
            "one too few": "U, S, Vt = np.linalg.svd(W)\nreturn (U[:, : r - 1] * S[: r - 1]) @ Vt[: r - 1]",
            "one too many": "U, S, Vt = np.linalg.svd(W)\nreturn (U[:, : r + 1] * S[: r + 1]) @ Vt[: r + 1]",
            "the first columns of W": "M = np.zeros_like(W)\nM[:, :r] = W[:, :r]\nreturn M",
            "Vt taken for V": "U, S, Vt = np.linalg.svd(W)\nreturn (U[:, :r] * S[:r]) @ Vt[:, :r].T",
            "W itself": "W.copy()",
        },
    },
    "rank_holding": {
        "right": [
            "e = 0\nfor n, x in enumerate(sigma, 1):\n    e += x * x\n    if e >= share * (sigma @ sigma):\n        return n",
            "int(np.sum(np.cumsum(sigma**2) < share * np.sum(sigma**2))) + 1",
        ],
        "wrong": {
            "not squared": "int(np.argmax(np.cumsum(sigma) >= share * sigma.sum())) + 1",
            "counted from 0": "e = np.cumsum(sigma**2)\nreturn int(np.argmax(e >= share * e[-1]))",
            "a share of the largest": "int(np.sum(sigma >= (1 - share) * sigma[0] * 0.1))",
            "a share of their number": "int(round(share * len(sigma)))",
            "smallest first": "e = np.cumsum(sigma[::-1] ** 2)\nreturn int(np.argmax(e >= share * e[-1])) + 1",
            "the total forgotten": "int(np.argmax(np.cumsum(sigma**2) >= share * 1e9)) + 1",
            "more than the share": "int(np.argmax(np.cumsum(sigma**2) > share * np.sum(sigma**2))) + 1",
        },
    },
    "factor_gradient": {
        "right": ["(A @ B - T) @ B.T, A.T @ (A @ B - T)", "A @ (B @ B.T) - T @ B.T, (A.T @ A) @ B - A.T @ T"],
        "wrong": {
            "the target taken the wrong way round": "(T - A @ B) @ B.T, A.T @ (T - A @ B)",
            "the half forgotten": "2 * (A @ B - T) @ B.T, 2 * A.T @ (A @ B - T)",
            "averaged": "(A @ B - T) @ B.T / T.size, A.T @ (A @ B - T) / T.size",
            "the target forgotten": "A @ B @ B.T, A.T @ A @ B",
            "exchanged": "A.T @ (A @ B - T), (A @ B - T) @ B.T",
            "transposed": "B @ (A @ B - T).T, (A @ B - T).T @ A",
            "B not transposed": "(A @ B - T) @ B, A.T @ (A @ B - T)",
        },
    },
    "winograd_products": {
        "right": [
            "G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])\n"
            "D = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])\nreturn (G @ g) * (D @ x)",
            "y0, y1 = x[:3] @ g, x[1:] @ g\nm0, m3 = (x[0] - x[2]) * g[0], (x[1] - x[3]) * g[2]\n"
            "return np.array([m0, (y0 - m0 + y1 + m3) / 2, (y0 - m0 - y1 - m3) / 2, m3])",
        ],
        "wrong": {
            "the half forgotten": (
                "return np.array([(x[0] - x[2]) * g[0], (x[1] + x[2]) * g.sum(), "
                "(x[2] - x[1]) * (g[0] - g[1] + g[2]), (x[1] - x[3]) * g[2]])"
            ),
            "m2's sign": (
                "h = (g[0] + g[2]) / 2\nreturn np.array([(x[0] - x[2]) * g[0], (x[1] + x[2]) * (h + g[1] / 2), "
                "(x[1] - x[2]) * (h - g[1] / 2), (x[1] - x[3]) * g[2]])"
            ),
            "m1 and m2 exchanged": (
                "h = (g[0] + g[2]) / 2\nreturn np.array([(x[0] - x[2]) * g[0], (x[2] - x[1]) * (h - g[1] / 2), "
                "(x[1] + x[2]) * (h + g[1] / 2), (x[1] - x[3]) * g[2]])"
            ),
            "the outputs themselves": "np.array([x[:3] @ g, x[1:] @ g])",
            "the middle tap's sign": (
                "h = (g[0] + g[2]) / 2\nreturn np.array([(x[0] - x[2]) * g[0], (x[1] + x[2]) * (h - g[1] / 2), "
                "(x[2] - x[1]) * (h + g[1] / 2), (x[1] - x[3]) * g[2]])"
            ),
            "the filter turned round": (
                "g = g[::-1]\nh = (g[0] + g[2]) / 2\nreturn np.array([(x[0] - x[2]) * g[0], (x[1] + x[2]) * (h + g[1] / 2), "
                "(x[2] - x[1]) * (h - g[1] / 2), (x[1] - x[3]) * g[2]])"
            ),
        },
    },
    "filter_backward": {
        "right": [
            "from numpy.lib.stride_tricks import sliding_window_view\n"
            "return np.einsum('uvij,ij->uv', sliding_window_view(image, dy.shape), dy)",
            "a, b = np.array(image.shape) - dy.shape + 1\nK = np.zeros((a, b))\nfor i in range(len(dy)):\n"
            "    for j in range(dy.shape[1]):\n        K += dy[i, j] * image[i : i + a, j : j + b]\nreturn K",
        ],
        "wrong": {
            "the filter turned round": (
                "p, q = dy.shape\na, b = np.array(image.shape) - dy.shape + 1\n"
                "return np.array([[np.sum(dy * image[u : u + p, v : v + q]) for v in range(b)] for u in range(a)])[::-1, ::-1]"
            ),
            "a mean": (
                "p, q = dy.shape\na, b = np.array(image.shape) - dy.shape + 1\n"
                "return np.array([[np.mean(dy * image[u : u + p, v : v + q]) for v in range(b)] for u in range(a)])"
            ),
            "one too small": (
                "p, q = dy.shape\na, b = np.array(image.shape) - dy.shape\n"
                "return np.array([[np.sum(dy * image[u : u + p, v : v + q]) for v in range(b)] for u in range(a)])"
            ),
            "transposed": (
                "p, q = dy.shape\na, b = np.array(image.shape) - dy.shape + 1\n"
                "return np.array([[np.sum(dy * image[u : u + p, v : v + q]) for u in range(a)] for v in range(b)])"
            ),
            "dy turned round, as for dx": (
                "p, q = dy.shape\na, b = np.array(image.shape) - dy.shape + 1\n"
                "return np.array([[np.sum(dy[::-1, ::-1] * image[u : u + p, v : v + q]) for v in range(b)] for u in range(a)])"
            ),
            "one place alone": "a, b = np.array(image.shape) - dy.shape + 1\nreturn dy[0, 0] * image[:a, :b]",
        },
    },
    "kronecker_apply": {
        "right": ["x @ np.kron(P, Q)", "np.einsum('nps,pq,st->nqt', x.reshape(len(x), *P.shape[:1], -1), P, Q).reshape(len(x), -1)"],
        "wrong": {
            "P and Q swapped": "x @ np.kron(Q, P)",
            "rows cut as (s, p)": "t = x.reshape(len(x), len(Q), len(P))\nreturn (Q.T @ t @ P).reshape(len(x), -1)",
            "the result laid out by columns": (
                "t = x.reshape(len(x), len(P), len(Q))\nreturn (P.T @ t @ Q).transpose(0, 2, 1).reshape(len(x), -1)"
            ),
            "not laid out": "t = x.reshape(len(x), len(P), len(Q))\nreturn P.T @ t @ Q",
            "P not transposed": "t = x.reshape(len(x), len(P), len(Q))\nreturn (P @ t @ Q).reshape(len(x), -1)",
            "transposed": "(x @ np.kron(P, Q)).T",
            "Q forgotten": "t = x.reshape(len(x), len(P), len(Q))\nreturn (P.T @ t).reshape(len(x), -1)",
        },
    },
    "kronecker_backward": {
        "right": [
            "s, t = Q.shape\ndP, dQ = np.zeros(P.shape), np.zeros(Q.shape)\nfor i, j in np.ndindex(P.shape):\n"
            "    block = G[i * s : (i + 1) * s, j * t : (j + 1) * t]\n"
            "    dP[i, j] = np.sum(block * Q)\n    dQ += P[i, j] * block\nreturn dP, dQ",
            "R = G.reshape(P.shape[0], Q.shape[0], P.shape[1], Q.shape[1]).swapaxes(1, 2).reshape(P.size, Q.size)\n"
            "return (R @ Q.ravel()).reshape(P.shape), (P.ravel() @ R).reshape(Q.shape)",
        ],
        "wrong": {
            "axes not exchanged": (
                "R = G.reshape(P.size, Q.size)\nreturn (R @ Q.ravel()).reshape(P.shape), (P.ravel() @ R).reshape(Q.shape)"
            ),
            "P and Q swapped": (
                "R = G.reshape(Q.shape[0], P.shape[0], Q.shape[1], P.shape[1])\n"
                "return np.einsum('aibj,ab->ij', R, Q), np.einsum('aibj,ij->ab', R, P)"
            ),
            "exchanged": (
                "R = G.reshape(P.shape[0], Q.shape[0], P.shape[1], Q.shape[1])\n"
                "return np.einsum('iajb,ij->ab', R, P), np.einsum('iajb,ab->ij', R, Q)"
            ),
            "the other factor forgotten": (
                "R = G.reshape(P.shape[0], Q.shape[0], P.shape[1], Q.shape[1])\nreturn R.sum((1, 3)), R.sum((0, 2))"
            ),
            "means": (
                "R = G.reshape(P.shape[0], Q.shape[0], P.shape[1], Q.shape[1])\n"
                "return np.einsum('iajb,ab->ij', R, Q) / Q.size, np.einsum('iajb,ij->ab', R, P) / P.size"
            ),
            "dP transposed": (
                "R = G.reshape(P.shape[0], Q.shape[0], P.shape[1], Q.shape[1])\n"
                "return np.einsum('iajb,ab->ji', R, Q), np.einsum('iajb,ij->ab', R, P)"
            ),
            "the first block alone": (
                "dP = np.zeros(P.shape)\ndP[0, 0] = np.sum(G[: len(Q), : Q.shape[1]] * Q)\nreturn dP, G[: len(Q), : Q.shape[1]] * P[0, 0]"
            ),
        },
    },
}
