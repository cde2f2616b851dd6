"""Mistakes in the compiled twins: the readable functions find them out."""

from mutants import listed

COMPILED = listed(
    {
        "kernels/lowrank.py": {
            "dots": [
                ("z[i, j], z[i, j + 1], z", "z[i, j + 1], z[i, j], z", "two of sixteen exchanged"),
                ("b2 + x[i + 1, p] * m2", "b2 + x[i + 1, p] * m1", "a row of M taken twice"),
                ("c3 + x[i + 2, p] * m3", "c3 + x[i + 1, p] * m3", "a row of x taken twice"),
                ("range(r - r % 4 if i < n - n % 4 else 0, r)", "range(r - r % 4, r)", "what remains of a block left out in the last rows"),
                ("range(r - r % 4 if i < n - n % 4 else 0, r)", "range(0 if i >= n - n % 4 else r, r)", "last rows of M left out"),
                ("z[i, j] = s * a0", "z[i, j] = a0", "scale forgotten in the rest"),
                ("s * e2, s * e3", "s * e2, e3", "scale forgotten in the last"),
            ],
            "add_product": [
                ("y[i, p] += a0 * m0 + a1", "y[i, p] = a0 * m0 + a1", "assigned, not added"),
                ("y[i + 1, p] += b0", "y[i + 1, p] += a0", "the row above taken again"),
                (" + b3 * m3", "", "fourth row forgotten"),
                ("range(r - r % 4 if i < n - n % 2 else 0, r)", "range(r - r % 4, r)", "last row of y left out"),
                ("a0 = s * z[i, j]", "a0 = z[i, j]", "scale forgotten in the rest"),
                ("s * z[i, j + 1], s", "s * s * z[i, j + 1], s", "scale twice in the second"),
            ],
            "backward_rows": [
                ("dots(x[rows], At, one", "dots(x[rows], At, s", "alpha / r twice in dB"),
                ("dots(dy[rows], B, s", "dots(dy[rows], B, one", "alpha / r forgotten in dz"),
                ("add_product(z[:n].T, dy[rows], s, dB)", "add_product(z[:n].T, dy[rows], one, dB)", "alpha / r forgotten in dB"),
                ("add_product(dz[rows].T, x[rows], one, dAt)", "add_product(z[:n].T, x[rows], one, dAt)", "dA from z in place of dz"),
                ("range(0, len(x), ROWS)", "range(0, len(x) - ROWS + 1, ROWS)", "rows that fill no block left out"),
            ],
            "merge_rows": [
                ("merged[p, j] = W[p, j]", "merged[p, j] = 0", "W itself forgotten"),
                ("range(0, d, ROWS)", "range(0, d - d % ROWS, ROWS)", "rows that fill no block left out"),
            ],
            "merge": [
                (
                    "np.ascontiguousarray(B.T), np.ascontiguousarray(A.T)",
                    "np.ascontiguousarray(B.T), np.ascontiguousarray(A.T) * 0",
                    "update lost where W lies turned round",
                ),
                ("merged = np.empty_like(W)", "merged = W", "the frozen W changed in place"),
            ],
            "lowrank_backward": [
                ("dx = dy @ merge(W, A, B, s).T", "dx = dy @ W.T", "low-rank path forgotten in dx, many rows"),
                (
                    "add_product(dz, np.ascontiguousarray(A.T), dy.dtype.type(1), dx)",
                    "add_product(dz, np.ascontiguousarray(A.T), dy.dtype.type(s), dx)",
                    "alpha / r twice in dx, few rows",
                ),
                ("(dz @ A.T) * mask", "(dz @ A.T)", "dropout forgotten in dx"),
                ("into += dx", "into[:] = dx", "what was in dx lost"),
                ("if not need_dx", "if need_dx", "dx left out where it is needed"),
            ],
        },
        "kernels/layers.py": {
            "rmsnorm_backward_rows": [
                ("total += dy[i, p] * gain[p] * x[i, p]", "total += dy[i, p] * x[i, p]", "gain forgotten in the mean"),
                ("* rstd[i] * rstd[i]", "* rstd[i]", "rstd once in place of twice"),
                ("dx[i, p] += rstd[i]", "dx[i, p] = rstd[i]", "assigned, not added"),
                ("- x[i, p] * shrink", "+ x[i, p] * shrink", "part along x added"),
                ("total / x.dtype.type(d)", "total", "sum in place of mean"),
            ],
            "rmsnorm_gain_rows": [
                ("dgain[p] += dy", "dgain[p] = dy", "the last token alone"),
                (" * rstd[i]", "", "x not normalised"),
            ],
            "rotate_split": [
                (
                    "x[b, t, h, i], x[b, t, h, i + half]",
                    "x[b, t, h, 2 * i], x[b, t, h, 2 * i + 1]",
                    "neighbours paired, then joined as halves",
                ),
            ],
            "rotate_back_joined": [
                ("first * cos[t, i] + second", "first * cos[t, i] - second", "rotated on, not back, in the first half"),
                ("second * cos[t, i] - first", "second * cos[t, i] + first", "rotated on, not back, in the second half"),
            ],
            "softmax_rows": [("hidden[j] = zero", "pass", "later keys not cleared")],
            "softmax_backward_rows": [
                ("total += dp[i, j] * p[i, j]", "total += dp[i, j]", "p forgotten in the sum"),
                ("scale * p[i, j]", "p[i, j]", "1 / sqrt(c) forgotten"),
                ("(dp[i, j] - total)", "dp[i, j]", "the softmax's own sum held constant"),
            ],
            "attention_backward": [
                ("np.ascontiguousarray(v.", "np.ascontiguousarray(k.", "k in place of v in dp"),
                ("@ _grouped(q, groups, rows)", "@ dob", "do in place of q in dk"),
            ],
            "_add_seen": [("total[..., : part.shape[2], :] += part", "total[..., : part.shape[2], :] = part", "later part lost")],
            "swiglu_backward_elements": [
                ("dup[i] = dh[i] * gate[i] * sigmoid", "dup[i] = dh[i] * sigmoid", "gate forgotten in dup"),
                ("(one + gate[i] * (one - sigmoid))", "(one - sigmoid)", "derivative of the sigmoid in place of the silu's"),
            ],
            "cross_entropy_rows": [
                ("dlogits[i] = 0", "dlogits[i] = weight", "ignored targets not ignored"),
                ("dlogits[i, targets[i]] -= weight", "dlogits[i, targets[i]] -= 1", "one-hot not divided by the count"),
                ("share = weight / total", "share = 1 / total", "softmax not divided by the count"),
            ],
            "scatter_rows": [("dE[tokens[i], p] += dx", "dE[tokens[i], p] = dx", "rows assigned, not added")],
            "embedding_backward": [("dx.dtype) if into is None else into", "dx.dtype)", "`into` forgotten")],
        },
    }
)
