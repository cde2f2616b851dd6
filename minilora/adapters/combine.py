"""One LoRA adapter from several, LoRA or a relative with a low-rank update: the weighted sum of their updates.

sum_i w_i s_i A_i B_i is the product of [A_1 A_2 ...] and the stack of the w_i s_i B_i: an exact adapter whose rank is the sum of the ranks
("cat"). Its best approximation of a smaller rank is its truncated SVD ("svd"; Eckart and Young 1936). To add the factors, (A_1 + A_2)
(B_1 + B_2), is not the sum of the updates: it has the cross terms A_1 B_2 and A_2 B_1 as well.

A sum is not a composition: two adapters that each rotate the alphabet by 13, added, do not rotate it by 26.
"""

import re

import numpy as np

from minilora.methods import LoRA


def truncate(A, B, r):
    """The best pair of rank r for A B -> A (d, r), B (r, k), and what is lost, |A B - its truncation| / |A B| by Frobenius norms.

    A = Q R and B.T = P S, so A B = Q (R S.T) P.T, and the SVD of the small matrix in the middle is that of the product.
    """
    Q, R = np.linalg.qr(A.astype(np.float64))  # (d, R), (R, R)
    P, S = np.linalg.qr(B.T.astype(np.float64))  # (k, R), (R, R)
    U, sigma, Vt = np.linalg.svd(R @ S.T)  # (R, R), (R,), (R, R)
    root = np.sqrt(sigma[:r])  # (r,)
    lost = float(np.sqrt(np.sum(sigma[r:] ** 2) / np.sum(sigma**2))) if sigma.any() else 0.0
    return (Q @ U[:, :r] * root).astype(A.dtype), ((root[:, None] * Vt[:r]) @ P.T).astype(B.dtype), lost  # (d, r), (r, k)


def combine(adapters, weights, config, kind="cat", rank=None):
    """-> a LoRA method and its arrays for the weighted sum of adapters, and module -> the share of its norm that was lost.

    `kind` is "cat", exact, with the sum of the ranks, or "svd", of the given rank. Raises ValueError for an adapter whose update is not
    low-rank or not all that it changes, or a rank that a module does not have.
    """
    factors = [adapter.method.update_factors(config, adapter.arrays) for adapter in adapters]  # module -> A (d, r), s B (r, k)
    other = next((adapter.method.name for adapter, pairs in zip(adapters, factors, strict=True) if not pairs), None)
    if other or not adapters:
        raise ValueError(f"only adapters with a low-rank update can be combined, not {other or 'none at all'}")
    if kind not in ("cat", "svd") or (kind == "svd") != (rank is not None):
        raise ValueError("combine with kind='cat', which is exact, or kind='svd' and a rank")
    if len(weights) != len(adapters):
        raise ValueError(f"there are {len(adapters)} adapters and {len(weights)} weights: give a weight for each")
    names = tuple(dict.fromkeys(name for pairs in factors for name in pairs))
    if kind == "svd":
        LoRA(rank=rank, targets=names).ranks(config)  # raises for a rank that a module does not have
    arrays, ranks, lost = {}, {}, {}
    for name in names:
        those = [(*pairs[name], weight) for pairs, weight in zip(factors, weights, strict=True) if name in pairs]
        A, B = np.concatenate([A for A, _, _ in those], axis=1), np.concatenate([weight * B for _, B, weight in those])  # (d, R), (R, k)
        lost[name] = 0.0
        if kind == "svd":
            A, B, lost[name] = truncate(A, B, rank)
        arrays[f"{name}.lora_A"], arrays[f"{name}.lora_B"], ranks[name] = A, B, len(B)
    usual = max(ranks.values())
    pattern = {re.escape(name): r for name, r in ranks.items() if r != usual}
    method = LoRA(rank=usual, alpha=float(usual), targets=tuple(ranks), rank_pattern=pattern, alpha_pattern=pattern)  # every s is 1
    method.ranks(config)
    return method, arrays, lost
