"""Mistakes in LoRA's family, the methods that adapt a weight by a product of thin matrices."""

from mutants import listed

FAMILY = listed(
    {
        "methods/rslora.py": {
            "RsLoRA": [("rslora: bool = True", "rslora: bool = False", "LoRA's scale")],
        },
        "methods/lora_plus.py": {
            "LoRAPlus.learning_rates": [
                ('endswith(".lora_B")', 'endswith(".lora_A")', "A made the faster one"),
                ("self.ratio if", "1 / self.ratio if", "B made slower"),
                (" and not name.startswith(EMBEDDING)", "", "the embedding's random B made faster"),
                ("else 1.0", "else self.ratio", "all made faster: a plain learning rate"),
                ("for name in arrays}", "for name in faster}", "no rate for A"),
            ],
        },
        "methods/lora_fa.py": {
            "frozen_a_forward": [
                ("s * (z @ B)", "z @ B", "alpha / r forgotten in y"),
                ("(z, W, A, B, s)", "(x @ A, W, A, B, s, x)", "x kept"),
            ],
            "frozen_a_backward": [
                ("dB = s * (z.T @ dy)", "dB = z.T @ dy", "alpha / r forgotten in dB"),
                ("dz = s * (dy @ B.T)", "dz = dy @ B.T", "alpha / r forgotten in dz"),
                ("dy @ W.T + dz @ A.T", "dy @ W.T", "low-rank path forgotten in dx, since A does not train"),
                ("dz @ A.T, into)", "dz @ A.T, None)", "`into` forgotten"),
                ("if not need_dx", "if need_dx", "dx left out where it is needed"),
            ],
            "LoRAFA.trainable": [(' if name.endswith(".lora_B")', "", "A trains")],
            "LoRAFA.count": [("r * shapes", "2 * r * shapes", "A counted")],
        },
        "methods/dora.py": {
            "column_norms": [
                ("M = AtW + s * (A.T @ A) @ B", "M = AtW + (A.T @ A) @ B", "alpha / r forgotten in M"),
                ("squared + s * np.sum", "squared + np.sum", "alpha / r forgotten in the norm"),
                ("(AtW + M) * B", "2 * AtW * B", "square of the update forgotten"),
                ("(AtW + M) * B", "M * B", "cross term once, not twice"),
                ('"dk,dk->k"', '"dk,dk->d"', "lengths of rows"),
                (
                    "np.sqrt(squared + s * np.sum((AtW + M) * B, axis=0))",
                    "np.linalg.norm(W + s * (A @ B), axis=0)",
                    "an array of W's size made",
                ),
            ],
            "DoRASites.linear_backward": [
                ("np.sum(dy * u, axis=0)", "np.mean(dy * u, axis=0)", "mean over the tokens"),
                ("dg / c)", "dg)", "length forgotten in dm"),
                ("name, g * dy, W", "name, dy, W", "g forgotten in LoRA's part"),
                ("h = g * dg / c**2", "h = g * dg / c", "length once, not squared"),
                ("h = g * dg / c**2", "h = dg / c**2", "g forgotten in the norm's part"),
                ("-s * (M * h)", "s * (M * h)", "sign of the norm's part in dB"),
                ("-s * (M * h)", "-(M * h)", "alpha / r forgotten in the norm's part of dB"),
                ("(hB @ W.T).T + s * (A @ (B @ hB.T))", "(hB @ W.T).T", "the update's own part forgotten in dA"),
                ("(hB @ W.T).T + s * (A", "(hB @ W.T).T + (A", "alpha / r forgotten within dA"),
                ("if self.exact:", "if not self.exact:", "exact where it is asked not to be"),
            ],
            "DoRASites.linear_forward": [
                ("return g * u", 'return u / c * self.arrays[f"{name}.magnitude"]', "not the base's bits at the start")
            ],
            "DoRA.merge": [("g * lowrank", "lowrank", "lengths not set")],
        },
        "methods/pissa.py": {
            "PiSSASites.linear_forward": [
                ("y -= self.scales[name] * (", "y -= (", "alpha / r forgotten in what is taken away"),
                ("y -= self", "y += self", "initial pair added"),
            ],
            "PiSSASites.linear_backward": [
                ("dx -= self", "dx += self", "sign of the initial pair in dx"),
                ("dx -= self.scales[name] * (", "dx -= (", "alpha / r forgotten in dx"),
                (" and need_dx", "", "dx touched where nothing below trains"),
                ("(dy @ B0.T) @ A0.T", "(dy @ B0.T) @ self.pair(name)[0].T", "A in place of A0 in dx"),
            ],
            "PiSSA.factors": [
                ("np.sqrt(S[:r] / s)", "np.sqrt(S[:r])", "alpha / r forgotten at the start"),
                ("np.sqrt(S[:r] / s)", "S[:r] / s", "singular values squared"),
                ("S[:r]", "S[-r:]", "the smallest singular values"),
                ("Vt[:r]", "Vt[-r:]", "the last right vectors"),
            ],
            "PiSSA.exported": [
                ('-arrays[f"{name}.initial_B"]', 'arrays[f"{name}.initial_B"]', "initial pair added in the file"),
                ("2**0.5 if self.rslora else 2", "2", "rsLoRA's scale at twice the rank"),
                ("rank=2 * self.rank", "rank=self.rank", "rank not doubled"),
                ("pattern: 2 * r for", "pattern: r for", "rank not doubled where a pattern sets it"),
                ("growth * alpha for", "alpha for", "alpha not doubled where a pattern sets it"),
            ],
            "PiSSA.merge": [("] -= lowrank", "] += lowrank", "initial pair added")],
            "PiSSA.init": [("A0.copy()", "A0", "A trains in the array that is taken away")],
        },
        "methods/olora.py": {
            "OLoRA.factors": [
                ("np.linalg.qr(W.T)", "np.linalg.qr(W.T[:, ::-1])", "another matrix's factors"),
                ("R[:r].T", "R[:, :r]", "columns of R"),
                ("Q[:, :r].T", "Q[:r]", "rows of Q"),
                ("R[:r].T", "R[:r].T / s", "the update scaled away"),
                ("R[:r].T), np.ascontiguousarray(Q[:, :r].T)", "R[-r:].T), np.ascontiguousarray(Q[:, -r:].T)", "the last factors"),
            ],
        },
        "methods/lora_xs.py": {
            "square_forward": [
                ("v = z @ R", "v = z @ R.T", "R transposed"),
                ("s * (v @ B)", "v @ B", "alpha / r forgotten in y"),
            ],
            "square_backward": [
                ("dv = s * (dy @ B.T)", "dv = dy @ B.T", "alpha / r forgotten in dv"),
                ("dR = z.T @ dv", "dR = dv.T @ z", "dR transposed"),
                ("dv @ R.T", "dv @ R", "R not transposed in dx"),
                ("(dv @ R.T) @ A.T", "dv @ A.T", "R forgotten in dx"),
                ("@ A.T, into)", "@ A.T, None)", "`into` forgotten"),
            ],
            "LoRAXS.init": [
                ("U[:, :r] * S[:r]", "U[:, :r]", "singular values forgotten"),
                ("Vt[:r]", "Vt[-r:]", "the smallest directions"),
                ("1e-5", "0", "R starts at zero"),
            ],
            "LoRAXS.exported": [(' @ arrays[f"{name}.lora_R"]', "", "R forgotten in the file")],
        },
        "methods/vera.py": {
            "vera_forward": [
                ("(u * a) @ B) * b", "(u * a) @ B)", "b forgotten"),
                ("(u * a) @ B", "u @ B", "a forgotten"),
            ],
            "vera_backward": [
                ("((u * a).T @ dy) * B", "(u.T @ dy) * B", "a forgotten in db"),
                ("* B, axis=0)", "* B * b, axis=0)", "b twice in db"),
                ("dv = (dy * b) @ B.T", "dv = dy @ B.T", "b forgotten in dv"),
                ("np.sum(dv * u, axis=0)", "np.mean(dv * u, axis=0)", "mean over the tokens"),
                ("np.sum(dv * u, axis=0)", "np.sum(dv * u * a, axis=0)", "a twice in da"),
                ("(dv * a) @ A.T", "dv @ A.T", "a forgotten in dx"),
                ("(dv * a) @ A.T, into)", "(dv * a) @ A.T, None)", "`into` forgotten"),
            ],
            "VeRASites.linear_forward": [("self.A[:d]", "self.A[-d:]", "the last rows of the shared A")],
            "VeRA.init": [
                ("np.sqrt(6 / shapes[name][0])", "np.sqrt(1 / shapes[name][0])", "LoRA's bound in place of Kaiming's"),
                ("np.sqrt(6 / shapes[name][0])", "np.sqrt(6 / shapes[name][1])", "fan-out in place of fan-in"),
            ],
        },
        "methods/adalora.py": {
            "AdaLoRASites.linear_backward": [
                ('_A", G * self', '_A", G / self', "e divided"),
                ("np.sum(G * self", "np.mean(G * self", "mean in place of sum in de"),
                ("axis=0, keepdims=True", "axis=0, keepdims=False", "shape of de"),
                ("W, cache, pair, into", "W, cache, pair, None", "`into` forgotten"),
            ],
            "orthogonality": [
                ("P.T @ P - np.eye", "P.T @ P + np.eye", "sign of the identity"),
                ("2 * (P @ C)", "P @ C", "factor two forgotten"),
                (" / max(norm, np.finfo(P.dtype).tiny)", "", "gradient of the square in place of the norm"),
                ("max(norm, np.finfo(P.dtype).tiny)", "norm", "zero divided by zero"),
            ],
            "AdaLoRA.penalty": [
                ("add_grad(grads, name, weight * gradient)", "add_grad(grads, name, gradient)", "weight forgotten in the gradient"),
                ("total += weight * norm", "total += norm", "weight forgotten in the loss"),
                ("orthogonality(arrays[name].T)", "orthogonality(arrays[name])", "columns of B in place of rows"),
            ],
            "AdaLoRA.budget": [
                ("remaining**3", "remaining**2", "square in place of cube"),
                ("(last - step)", "(step - first)", "budget that grows"),
            ],
            "AdaLoRA.after_step": [
                ("elif step > last:", "elif step > steps:", "directions come back after the last allocation"),
                ("if step == last or", "if", "last allocation left out"),
                ("* len(names))", ")", "the budget of one module for all"),
            ],
            "judge": [
                ("np.abs(arrays[name] * gradient)", "np.abs(gradient)", "p forgotten in its sensitivity"),
                ("sensitivity += (1 - BETA)", "sensitivity += BETA", "old and new exchanged in the average"),
                ("np.abs(now - sensitivity) - uncertainty", "now - sensitivity - uncertainty", "sign kept in the uncertainty"),
            ],
            "importance": [
                ("A.mean(axis=0)", "A.sum(axis=0)", "sum in place of mean"),
                (" + B.mean(axis=1)", "", "B forgotten"),
            ],
            "allocate": [
                ("np.argsort(-scores", "np.argsort(scores", "the least important kept"),
                ("] *= part", "] *= 1", "no direction taken away"),
            ],
        },
    }
)
