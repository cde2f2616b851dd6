"""Mistakes in the methods that are no relatives of LoRA."""

from mutants import listed

RIVALS = listed(
    {
        "methods/bottleneck.py": {
            "bottleneck_forward": [
                ("h + p @ U + b", "p @ U + b", "the way round forgotten"),
                ("h @ D + a", "h @ D", "inner bias forgotten"),
            ],
            "bottleneck_backward": [
                ("dU, db = p.T @ do", "dU, db = p.T @ do / len(do)", "dU averaged over the tokens"),
                ("do.sum(axis=0)", "do.mean(axis=0)", "mean over the tokens in db"),
                ("(do @ U.T, cp)", "(do @ U.T, p)", "phi's derivative at p in place of z"),
                ("dz.sum(axis=0)", "do.sum(axis=0)[: dz.shape[1]]", "da from do in place of dz"),
                ("do + dz @ D.T", "dz @ D.T", "the way round forgotten in dh"),
                ("do + dz @ D.T", "do", "the bottleneck forgotten in dh"),
            ],
            "relu_backward": [
                ("dp * (z > 0)", "dp * (z < 0)", "the other half"),
                ("dp * (z > 0)", "dp", "derivative forgotten"),
            ],
            "silu_backward": [("(dp, cache)[0]", "(dp, cache)[1]", "derivative by the other factor")],
            "Bottleneck.count": [("2 * d * m + m + d", "2 * d * m", "biases not counted")],
            "Houlsby.draw": [
                ("> 0.02", "> 2", "not cut off"),
                ("rng.normal(0, 0.01, outside.sum())", "0", "cut-off entries set to zero"),
            ],
        },
        "methods/prefix.py": {
            "computed_prefix": [("transpose(3, 0, 1, 2, 4)", "transpose(3, 1, 0, 2, 4)", "layers within keys and values")],
            "PrefixSites.__init__": [
                ("self.position_offset = self.positions = len(P)", "self.positions = len(P)", "the text begins at position 0")
            ],
            "PrefixSites.attention_forward": [
                ("[K, k]", "[k, K]", "keys after the text in place of before"),
                ("[K, k], axis=2), np.concatenate([V, v]", "[V, k], axis=2), np.concatenate([K, v]", "keys and values exchanged"),
                ("self.layers[layer])", "self.layers[0])", "the first layer's prefix everywhere"),
            ],
            "PrefixSites.attention_backward": [
                ("dk[:, :, :p].sum(axis=0)", "dk[:, :, :p].mean(axis=0)", "mean over the batch"),
                ("dv[:, :, :p].sum(axis=0)", "dv[-1, :, :p]", "last row of the batch alone"),
                (
                    "dk[:, :, :p].sum(axis=0), dv[:, :, :p].sum(axis=0)",
                    "dv[:, :, :p].sum(axis=0), dk[:, :, :p].sum(axis=0)",
                    "dK and dV exchanged",
                ),
                ("return dq, dk[:, :, p:]", "return dq, dk[:, :, : dk.shape[2] - p]", "the text receives the prefix's part"),
            ],
            "PrefixSites.add_prefix_grad": [
                ("[layer]  # (2", "[0]  # (2", "all layers added to the first"),
                ("part += np", "part -= np", "sign"),
            ],
        },
        "methods/prefix_network.py": {
            "network_backward": [
                ("(1 - t * t)", "(1 - t)", "square forgotten in the derivative of tanh"),
                ("(1 - t * t)", "1", "derivative of tanh forgotten"),
                ("t.T @ dP", "H.T @ dP @ U.T @ U", "dU from H in place of t"),
                ("dP.sum(axis=0)", "dP.mean(axis=0)", "mean over the positions in db"),
                ("return dz @ D.T", "return (dP @ U.T) @ D.T", "dH without the derivative of tanh"),
                ("dz.sum(axis=0)", "(dP @ U.T).sum(axis=0)", "da without the derivative of tanh"),
            ],
            "PrefixNetwork.init": [('rng.standard_normal(shape) if name == "prefix_input" else ', "", "H as small as the matrices")],
        },
        "methods/gated_prefix.py": {
            "gated_forward": [
                (" * width**-0.5", "", "1 / sqrt(c) forgotten"),
                ("gate[:, None, None] * a,", "a,", "gate forgotten"),
            ],
            "gated_backward": [
                ("np.sum(do * a, axis=(0, 2, 3))", "np.mean(do * a, axis=(0, 2, 3))", "mean in place of sum in dg"),
                ("(gate[:, None, None] * do)", "do", "gate forgotten in da"),
                ("dp - np.sum(dp * p, axis=-1, keepdims=True)", "dp", "the softmax's own sum held constant"),
                ("ds *= qg.shape[-1] ** -0.5", "ds *= 1", "1 / sqrt(c) forgotten"),
                ("(ds @ K)", "(ds @ V)", "V in place of K in dq"),
                ("dK = np.sum(ds", "dK = np.sum(p", "p in place of ds in dK"),
            ],
            "GatedPrefixSites.__init__": [("self.position_offset = self.positions = 0", "self.positions = 0", "the text moved on by p")],
            "GatedPrefixSites.attention_backward": [
                ("dq + added", "dq", "the prefix's part of dq forgotten"),
                ('["gate"][layer] += dgate', '["gate"][layer] = -dgate', "sign of dg"),
            ],
        },
        "methods/prompt.py": {
            "PromptSites.input_forward": [
                ("x], axis=1)", "x * 0.5], axis=1)", "the text changed"),
                ("[np.broadcast_to(P, (len(x), *P.shape)), x]", "[x, np.broadcast_to(P, (len(x), *P.shape))]", "the prompt after the text"),
            ],
            "PromptSites.input_backward": [
                ("dx[:, :p].sum(axis=0)", "dx[:, :p].mean(axis=0)", "mean over the batch"),
                ("dx[:, :p].sum(axis=0)", "dx[:, -p:].sum(axis=0)", "dP from the end of the text"),
                ("return dx[:, p:]", "return dx[:, : dx.shape[1] - p]", "the text receives the prompt's part"),
            ],
            "Prompt.init": [
                ("E[rng.integers(0, len(E), self.length)]", "rng.standard_normal((self.length, E.shape[1]))", "noise in place of words")
            ],
        },
        "methods/ia3.py": {
            "stretched_output_backward": [
                ("np.sum(dy * u", "np.sum(dy * u * stretch", "l twice in dl"),
                ("np.sum(dy * u", "np.mean(dy * u", "mean over the tokens"),
                ("(dy * stretch) @ W.T", "dy @ W.T", "l forgotten in dx"),
                ("@ W.T, into)", "@ W.T, None)", "`into` forgotten"),
            ],
            "stretched_input_backward": [
                ("np.sum(dv * x", "np.sum(dv * x * stretch.T", "l twice in dl"),
                ("dv * stretch.T, into)", "dv, into)", "l forgotten in dx"),
                (", into) if need_dx else into", ", into)", "dx computed where nothing below trains"),
            ],
            "IA3.modules": [
                ('name in outputs if f"{name}.bias" in config.shapes()', "name in outputs if False", "a bias left as it was, unlike PEFT's")
            ],
            "IA3.merge": [("base[weight] * arrays", "base[weight] + arrays", "added, not multiplied")],
        },
        "methods/bitfit.py": {
            "BitFit.init": [
                ("np.zeros", "np.ones", "biases start at one"),
                ("np.array(base[name]) if name in base else ", "", "the base's own biases lost"),
            ],
            "BitFit.shapes": [
                ("(k,) for name, (_, k)", "(k,) for name, (k, _)", "inputs in place of outputs"),
                ('.bias"', '.biases"', "under a name that the model does not know"),
            ],
            "BitFit.count": [("sum(k for", "sum(1 for", "vectors counted, not numbers")],
        },
        "methods/norms.py": {
            "Norms.shapes": [
                ('endswith("norm.weight")', 'endswith("layernorm.weight")', "the last norm forgotten"),
                ('endswith("norm.weight")', 'startswith("model.layers")', "all of the blocks"),
            ],
        },
        "methods/last_layers.py": {
            "LastLayers.shapes": [
                (">= first", "> first", "one block too few"),
                ("num_hidden_layers - self.layers", "num_hidden_layers - self.layers - 1", "one block too many"),
                ("1 <= self.layers", "0 <= self.layers", "no block at all allowed"),
            ],
        },
        "methods/full.py": {
            "Copies.init": [("np.array(base[name])", "base[name]", "the base itself trains, not a copy")],
        },
    }
)
