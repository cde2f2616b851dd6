"""Mistakes in NF4: tables, packing, scales, and the products that stand for x @ W and dy @ W.T."""

from mutants import listed

QUANTIZATION = listed(
    {
        "quantization.py": {
            "dynamic_table": [
                ("[*middles, *-middles]", "[*middles, *middles]", "no negative values"),
                ("10.0 ** (i - 6)", "10.0 ** (i - 7)", "a power of ten too low"),
            ],
            "nearest": [("numbers > edge", "numbers >= edge", "half-way, the upper one")],
            "block_codes": [
                ("np.maximum.reduceat(np.abs(numbers), starts)", "np.maximum.reduceat(numbers, starts)", "largest value, not absolute"),
                ("1 / np.maximum(scales, np.float32(1e-38))", "1 / np.maximum(scales, np.float32(1))", "small weights not scaled up"),
                ("if not np.isfinite(scales).all()", "if False", "numbers that are not finite pass"),
            ],
            "double_scales": [
                ("block_codes(scales - mean,", "block_codes(scales,", "mean not taken off"),
                ("BLOCKS, DYNAMIC", "64, DYNAMIC", "blocks of scales as small as those of numbers"),
            ],
            "DoubleScales": [
                ("* scales + self.mean", "* scales", "mean not put back"),
                ("DYNAMIC[self.codes] * scales", "DYNAMIC[self.codes]", "scales of the scales forgotten"),
            ],
            "dequantize_tile": [
                ("(4 - 4 * (at & 1))", "(4 * (at & 1))", "the first of two read from the low half"),
                ("at // BLOCK", "(at - column) // BLOCK", "blocks counted from the tile's column"),
                ("np.arange(column, column + n)", "np.arange(n)", "the first columns in place of the tile's"),
            ],
            "nf4": [
                ("pairs[:, 0] << 4 | pairs[:, 1]", "pairs[:, 1] << 4 | pairs[:, 0]", "halves exchanged"),
                ("np.ascontiguousarray(W.T, np.float32)", "np.ascontiguousarray(W, np.float32)", "blocks over (in, out)"),
            ],
            "NF4Weight": [
                ("return self.stored if self.transposed else self.stored[::-1]", "return self.stored[::-1]", "W.T has the shape of W"),
                ("part = tile[:n].T", "part = tile[:n]", "tile not turned round"),
                (
                    "self.decode(self.codes, scales, d, start, 0, tile[:n])",
                    "self.decode(self.codes, scales, d, 0, 0, tile[:n])",
                    "first rows",
                ),
                ("self.decode(self.codes, scales, d, 0, start, part)", "self.decode(self.codes, scales, d, 0, 0, part)", "first columns"),
                ("np.empty((len(x), columns), x.dtype)", "np.empty((len(x), columns), self.dtype)", "float64 rounded to float32"),
                ("transposed=not self.transposed", "transposed=True", "the transpose of the transpose is the transpose"),
                ("return whole if self.transposed else whole.T", "return whole.T", "spelled out, W.T is W"),
            ],
            "quantize": [('name.startswith("model.layers.") and W.ndim == 2', "W.ndim == 2", "embedding and head quantised too")],
        },
    }
)
