ANSWERS = {
    "rank_one_term": {
        "right": ["A[:, i : i + 1] @ B[i : i + 1]", "A[:, i][:, None] * B[i]", "np.einsum('d,k->dk', A[:, i], B[i])"],
        "wrong": {
            "a row of A and a column of B": "np.outer(A[i], B[:, i])",
            "A and B swapped: transposed": "np.outer(B[i], A[:, i])",
            "the whole product": "A @ B",
            "all layers up to i": "A[:, : i + 1] @ B[: i + 1]",
            "counted from 1": "np.outer(A[:, i - 1], B[i - 1])",
            "a number": "A[0, i] * B[i, 0]",
        },
    },
    "delta": {
        "right": ["alpha / len(B) * A @ B", "A @ (alpha * B / B.shape[0])", "(B.T @ A.T).T * alpha / A.shape[1]"],
        "wrong": {
            "alpha in place of alpha / r": "alpha * (A @ B)",
            "a missing scale": "A @ B",
            "divided by d": "alpha / len(A) * (A @ B)",
            "divided by k": "alpha / B.shape[1] * (A @ B)",
            "rsLoRA's scale": "alpha / np.sqrt(len(B)) * (A @ B)",
            "A and B swapped": "alpha / A.shape[1] * (B @ A)",
            "the scale squared, once in each factor": "(alpha / len(B) * A) @ (alpha / len(B) * B)",
            "transposed": "alpha / len(B) * (B.T @ A.T)",
        },
    },
    "lora_forward": {
        "right": ["x @ (W + s * A @ B)", "s * x @ A @ B + x @ W", "np.hstack([x, s * x @ A]) @ np.vstack([W, B])"],
        "wrong": {
            "alpha in place of alpha / r": "x @ W + s * A.shape[1] * (x @ A) @ B",
            "a missing scale": "x @ W + x @ A @ B",
            "the frozen path scaled": "s * (x @ W + x @ A @ B)",
            "the frozen path forgotten": "s * (x @ A) @ B",
            "the low-rank path forgotten": "x @ W",
            "A and B swapped": "x @ W + s * (x @ B) @ A",
            "transposes, as PyTorch keeps them": "x @ W + s * (x @ A.T) @ B.T",
            "subtracted": "x @ W - s * (x @ A) @ B",
            "x changed": "x *= s\nreturn x @ W / s + x @ A @ B",
        },
    },
    "merge": {
        "right": ["s * A @ B + W", "M = W.copy()\nM += s * (A @ B)\nreturn M"],
        "wrong": {
            "in place": "W += s * (A @ B)\nreturn W",
            "a missing scale": "W + A @ B",
            "alpha in place of alpha / r": "W + s * A.shape[1] * (A @ B)",
            "the update alone": "s * (A @ B)",
            "everything scaled": "s * (W + A @ B)",
            "A and B swapped": "W + s * (B @ A)",
            "unmerged": "W - s * (A @ B)",
            "transposed": "(W + s * (A @ B)).T",
        },
    },
    "init_pair": {
        "right": [
            "b = u.shape[0] ** -0.5\nreturn -b + 2 * b * u, np.zeros((u.shape[1], k))",
            "(u - 0.5) * 2 / len(u) ** 0.5, np.zeros_like(u, shape=(u.shape[1], k))",
        ],
        "wrong": {
            "positive numbers only": "u / np.sqrt(len(u)), np.zeros((u.shape[1], k))",
            "bound of 1 / d": "(2 * u - 1) / len(u), np.zeros((u.shape[1], k))",
            "bound from the rank": "(2 * u - 1) / np.sqrt(u.shape[1]), np.zeros((u.shape[1], k))",
            "A zero as well": "0 * u, np.zeros((u.shape[1], k))",
            "both random": "(2 * u - 1) / np.sqrt(len(u)), np.ones((u.shape[1], k))",
            "B transposed": "(2 * u - 1) / np.sqrt(len(u)), np.zeros((k, u.shape[1]))",
            "A and B swapped": "np.zeros((u.shape[1], k)), (2 * u - 1) / np.sqrt(len(u))",
            "B in float32": "(2 * u - 1) / np.sqrt(len(u)), np.zeros((u.shape[1], k), np.float32)",
        },
    },
}
