"""Mistakes in the compiled twins: the readable functions find them out."""

from mutants import listed

COMPILED = listed(
    {
        "kernels/lowrank.py": {
            "dots": [
                ("z[i, j], z[i, j + 1]", "z[i, j + 1], z[i, j]", "two of the four exchanged"),
                ("a2 += x[i, p] * M[j + 2, p]", "a2 += x[i, p] * M[j + 1, p]", "a row of M taken twice"),
                ("while j < r", "while j < r - 1", "last row of M left out"),
                ("z[i, j] = s * a0", "z[i, j] = a0", "scale forgotten in the rest"),
                ("s * a2, s * a3", "s * a2, a3", "scale forgotten in the fourth"),
            ],
            "add_mixed_rows": [
                ("y[i, p] += a0 * M[j, p] + a1", "y[i, p] = a0 * M[j, p] + a1", "assigned, not added"),
                (" + a3 * M[j + 3, p]", "", "fourth row forgotten"),
                ("a0 = s * z[i, j]", "a0 = z[i, j]", "scale forgotten in the rest"),
                ("s * z[i, j + 1], s", "s * s * z[i, j + 1], s", "scale twice in the second"),
            ],
            "add_outer": [
                ("G[j, p] += a0 * x[i, p] + a1", "G[j, p] = a0 * x[i, p] + a1", "assigned, not added"),
                ("while i < n", "while i < n - 1", "last token left out"),
                ("a0 = s * z[i, j]", "a0 = z[i, j]", "scale forgotten in the rest"),
                ("a2 * x[i + 2, p]", "a2 * x[i + 1, p]", "a token taken twice"),
            ],
            "backward_rows": [
                ("dots(x[rows], At, one", "dots(x[rows], At, s", "alpha / r twice in dB"),
                ("dots(dy[rows], B, s", "dots(dy[rows], B, one", "alpha / r forgotten in dz"),
                ("add_outer(z[:n], dy[rows], s, dB)", "add_outer(z[:n], dy[rows], one, dB)", "alpha / r forgotten in dB"),
                ("add_outer(dz[rows], x[rows], one, dAt)", "add_outer(z[:n], x[rows], one, dAt)", "dA from z in place of dz"),
                ("range(0, len(x), ROWS)", "range(0, len(x) - ROWS + 1, ROWS)", "rows that fill no block left out"),
            ],
            "merge": [
                (
                    "np.ascontiguousarray(B.T), np.ascontiguousarray(A.T)",
                    "np.ascontiguousarray(B.T), np.ascontiguousarray(A.T) * 0",
                    "update lost where W lies turned round",
                ),
                ("merged = W.copy()", "merged = W", "the frozen W changed in place"),
            ],
            "lowrank_backward": [
                ("dx = dy @ merge(W, A, B, s).T", "dx = dy @ W.T", "low-rank path forgotten in dx, many rows"),
                (
                    "add_mixed_rows(dz, At, dy.dtype.type(1), dx)",
                    "add_mixed_rows(dz, At, dy.dtype.type(s), dx)",
                    "alpha / r twice in dx, few rows",
                ),
                ("(dz @ At) * mask", "(dz @ At)", "dropout forgotten in dx"),
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
            "rope_backward": [("cos, -sin", "cos, sin", "rotated on, not back")],
            "rotate": [("x[h, t, i], x[h, t, i + half]", "x[h, t, 2 * i], x[h, t, 2 * i + 1]", "neighbours paired, then joined as halves")],
            "softmax_rows": [("hidden[j] = zero", "pass", "later keys not cleared")],
            "softmax_backward_rows": [
                ("total += dp[i, j] * p[i, j]", "total += dp[i, j]", "p forgotten in the sum"),
                ("scale * p[i, j]", "p[i, j]", "1 / sqrt(c) forgotten"),
                ("(dp[i, j] - total)", "dp[i, j]", "the softmax's own sum held constant"),
            ],
            "attention_backward": [
                ("dv[..., :seen, :] += p", "dv[..., :seen, :] = p", "dv of an earlier part lost"),
                ("dk[..., :seen, :] += dp", "dk[..., :seen, :] = dp", "dk of an earlier part lost"),
                ("vt = np.ascontiguousarray(v.", "vt = np.ascontiguousarray(k.", "k in place of v in dp"),
                ("@ _grouped(q, groups, rows)", "@ dob", "do in place of q in dk"),
            ],
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
