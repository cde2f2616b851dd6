ANSWERS = {
    "mixed_forward": {
        "right": [
            "y = x @ W\nfor j in range(len(A)):\n    rows = which == j\n    y[rows] += s[j] * x[rows] @ A[j] @ B[j]\nreturn y",
            "u = np.where(which < 0, 0, s[which])\nreturn x @ W + u[:, None] * np.einsum('nd,ndr,nrk->nk', x, A[which], B[which])",
        ],
        "wrong": {
            "-1 taken for the last pair": "x @ W + s[which][:, None] * np.einsum('nd,ndr,nrk->nk', x, A[which], B[which])",
            "a missing scale": "y = x @ W\nfor i, j in enumerate(which):\n    if j >= 0:\n        y[i] += x[i] @ A[j] @ B[j]\nreturn y",
            "one scale for all": (
                "y = x @ W\nfor i, j in enumerate(which):\n    if j >= 0:\n        y[i] += s[0] * x[i] @ A[j] @ B[j]\nreturn y"
            ),
            "pair 0 forgotten": (
                "y = x @ W\nfor i, j in enumerate(which):\n    if j > 0:\n        y[i] += s[j] * x[i] @ A[j] @ B[j]\nreturn y"
            ),
            "the base forgotten where there is a pair": (
                "y = x @ W\nfor i, j in enumerate(which):\n    if j >= 0:\n        y[i] = s[j] * x[i] @ A[j] @ B[j]\nreturn y"
            ),
            "every pair for every row": "x @ W + sum(s[j] * x @ A[j] @ B[j] for j in range(len(A)))",
            "no pair at all": "x @ W",
            "A and B swapped": (
                "y = x @ W\nfor i, j in enumerate(which):\n    if j >= 0:\n        y[i] += s[j] * x[i] @ B[j] @ A[j]\nreturn y"
            ),
        },
    },
    "join_pairs": {
        "right": ["np.hstack([s1 * A1, s2 * A2]), np.vstack([B1, B2])", "np.hstack([A2, A1]), np.vstack([B2 * s2, B1 * s1])"],
        "wrong": {
            "a missing scale": "np.hstack([A1, A2]), np.vstack([B1, B2])",
            "the scales in both": "np.hstack([s1 * A1, s2 * A2]), np.vstack([s1 * B1, s2 * B2])",
            "factors added": "A1 + A2, s1 * B1 + s2 * B2",
            "the scales exchanged": "np.hstack([A1, A2]), np.vstack([s2 * B1, s1 * B2])",
            "an order that does not match": "np.hstack([A1, A2]), np.vstack([s2 * B2, s1 * B1])",
            "joined along the other axes": "np.vstack([A1, A2]), np.hstack([s1 * B1, s2 * B2])",
            "A and B swapped": "np.vstack([s1 * B1, s2 * B2]), np.hstack([A1, A2])",
            "averaged": "np.hstack([A1, A2]), np.vstack([s1 * B1, s2 * B2]) / 2",
        },
    },
    "cross_terms": {
        "right": ["(A1 + A2) @ (B1 + B2) - A1 @ B1 - A2 @ B2", "np.hstack([A1, A2]) @ np.vstack([B2, B1])"],
        "wrong": {
            "what is wanted": "A1 @ B1 + A2 @ B2",
            "all of it": "(A1 + A2) @ (B1 + B2)",
            "one of the two": "A1 @ B2",
            "subtracted": "A1 @ B2 - A2 @ B1",
            "turned round": "A1 @ B1 + A2 @ B2 - (A1 + A2) @ (B1 + B2)",
            "A and B swapped": "B1 @ A2 + B2 @ A1",
            "halved": "(A1 @ B2 + A2 @ B1) / 2",
        },
    },
    "compress": {
        "right": [
            "U, S, Vt = np.linalg.svd(A @ B)\nreturn U[:, :r], S[:r, None] * Vt[:r]",
            "Q, R = np.linalg.qr(A)\nU, S, Vt = np.linalg.svd(R @ B, full_matrices=False)\n"
            "return Q @ U[:, :r] * S[:r] ** 0.5, S[:r, None] ** 0.5 * Vt[:r]",
        ],
        "wrong": {
            "the first columns and rows": "A[:, :r].copy(), B[:r].copy()",
            "singular values forgotten": "U, S, Vt = np.linalg.svd(A @ B)\nreturn U[:, :r], Vt[:r]",
            "singular values twice": "U, S, Vt = np.linalg.svd(A @ B)\nreturn U[:, :r] * S[:r], S[:r, None] * Vt[:r]",
            "the smallest directions": (
                "U, S, Vt = np.linalg.svd(A @ B, full_matrices=False)\nreturn U[:, 2 : 2 + r] * S[2 : 2 + r], Vt[2 : 2 + r]"
            ),
            "each factor truncated by itself": (
                "U, S, Vt = np.linalg.svd(A, full_matrices=False)\nP, T, Qt = np.linalg.svd(B, full_matrices=False)\n"
                "return U[:, :r] * S[:r], T[:r, None] * Qt[:r]"
            ),
            "not truncated": "A.copy(), B.copy()",
            "A and B swapped": "U, S, Vt = np.linalg.svd(A @ B)\nreturn S[:r, None] * Vt[:r], U[:, :r]",
            "one direction too few": "U, S, Vt = np.linalg.svd(A @ B)\nreturn U[:, : r - 1] * S[: r - 1], Vt[: r - 1]",
        },
    },
    "update_from_peft": {
        "right": ["alpha / lora_B.shape[1] * (lora_B @ lora_A).T", "A, B = lora_A.T, lora_B.T\nreturn A @ (alpha / A.shape[1] * B)"],
        "wrong": {
            "alpha in place of alpha / r": "alpha * (lora_B @ lora_A).T",
            "a missing scale": "(lora_B @ lora_A).T",
            "not transposed": "alpha / len(lora_A) * lora_B @ lora_A",
            "A and B swapped": "alpha / len(lora_A) * lora_A @ lora_B",
            "divided by d": "alpha / lora_A.shape[1] * (lora_B @ lora_A).T",
            "divided by k": "alpha / len(lora_B) * (lora_B @ lora_A).T",
            "rsLoRA's scale": "alpha / np.sqrt(len(lora_A)) * (lora_B @ lora_A).T",
        },
    },
    "peft_names": {
        "right": [
            "p = 'base_model.model.' + module\nreturn p + '.lora_A.weight', p + '.lora_B.weight'",
            "'.'.join(['base_model', 'model', module, 'lora_A', 'weight']), '.'.join(['base_model', 'model', module, 'lora_B', 'weight'])",
        ],
        "wrong": {
            "the prefix forgotten": "f'{module}.lora_A.weight', f'{module}.lora_B.weight'",
            "half of the prefix": "f'base_model.{module}.lora_A.weight', f'base_model.{module}.lora_B.weight'",
            "weight forgotten": "f'base_model.model.{module}.lora_A', f'base_model.model.{module}.lora_B'",
            "the adapter's name in it": (
                "f'base_model.model.{module}.lora_A.default.weight', f'base_model.model.{module}.lora_B.default.weight'"
            ),
            "A and B swapped": "f'base_model.model.{module}.lora_B.weight', f'base_model.model.{module}.lora_A.weight'",
            "one name": "f'base_model.model.{module}.lora_A.weight'",
            "small letters": "f'base_model.model.{module}.lora_a.weight', f'base_model.model.{module}.lora_b.weight'",
        },
    },
}
