ANSWERS = {
    "lora_params": {
        "right": ["d * r + r * k", "int(np.zeros((d, r)).size + np.zeros((r, k)).size)"],
        "wrong": {
            "the matrix itself": "d * k",
            "A alone": "d * r",
            "B alone": "r * k",
            "the product of the two counts": "(d * r) * (r * k)",
            "sides and rank added": "d + k + r",
            "the rank counted twice": "2 * r * (d + k)",
            "a float": "r * (d + k) / 1",
        },
    },
    "lora_scale": {
        "right": ["alpha * (1 / r)", "np.divide(alpha, r)"],
        "wrong": {
            "alpha in place of alpha / r": "alpha",
            "rsLoRA's": "alpha / np.sqrt(r)",
            "upside down": "r / alpha",
            "rounded down": "alpha // r",
            "multiplied": "alpha * r",
            "a missing scale": "1.0",
        },
    },
    "largest_saving_rank": {
        "right": ["int(d * k / (d + k))", "max(r for r in range(1, min(d, k)) if r * (d + k) <= d * k)"],
        "wrong": {
            "rounded to the nearest": "round(d * k / (d + k))",
            "rounded up": "-(-d * k // (d + k))",
            "not rounded": "d * k / (d + k)",
            "half of the smaller side": "min(d, k) // 2",
            "the smaller side": "min(d, k)",
            "one too few": "d * k // (d + k) - 1",
            "fewer numbers in place of no more": "(d * k - 1) // (d + k)",
        },
    },
    "adapter_params": {
        "right": ["r * sum(map(sum, shapes))", "total = 0\nfor d, k in shapes:\n    total += d * r + r * k\nreturn total"],
        "wrong": {
            "the matrices themselves": "sum(d * k for d, k in shapes)",
            "r times the matrices": "sum(r * d * k for d, k in shapes)",
            "the rank added once": "r + sum(d + k for d, k in shapes)",
            "the first matrix alone": "r * sum(shapes[0])",
            "returned inside of the loop": "for d, k in shapes:\n    return r * (d + k)",
            "the inputs alone": "sum(r * d for d, k in shapes)",
            "one matrix forgotten": "sum(r * (d + k) for d, k in shapes[1:])",
        },
    },
    "pair_flops": {
        "right": ["2 * N * r * (d + k)", "r * N * (d + k) * 2"],
        "wrong": {
            "multiplications alone": "N * r * (d + k)",
            "A B first": "2 * d * r * k + 2 * N * d * k",
            "the frozen product": "2 * N * d * k",
            "the first product alone": "2 * N * d * r",
            "one token": "2 * r * (d + k)",
            "all sizes multiplied": "2 * N * d * r * k",
        },
    },
    "training_bytes": {
        "right": ["base * 2 + trainable * (4 + 4 + 4 + 4)", "2 * (base + 8 * trainable)"],
        "wrong": {
            "the base trained as well": "16 * (base + trainable)",
            "the numbers alone": "2 * base + 4 * trainable",
            "one moment": "2 * base + 12 * trainable",
            "the base in float32": "4 * base + 16 * trainable",
            "the adapter in bfloat16": "2 * base + 8 * trainable",
            "the base forgotten": "16 * trainable",
        },
    },
}
