"""One LoRA adapter from several: the weighted sum of their updates.

sum_i w_i s_i A_i B_i is the product of [A_1 A_2 ...] and the stack of the w_i s_i B_i: an exact adapter whose rank is the sum of the ranks
("cat"). Its best approximation of a smaller rank is its truncated SVD ("svd"; Eckart and Young 1936). To add the factors, (A_1 + A_2)
(B_1 + B_2), is not the sum of the updates: it has the cross terms A_1 B_2 and A_2 B_1 as well.

A sum is not a composition: two adapters that each rotate the alphabet by 13, added, do not rotate it by 26.
"""

import re

import numpy as np

from minilora.methods import LoRA


def factors(adapters, weights, config, name):
    """A (d, sum of r) and B (sum of r, k) whose product is the weighted sum of the updates of module `name`."""
    As, Bs = [], []
    for adapter, weight in zip(adapters, weights, strict=True):
        s = adapter.method.scales(config).get(name)
        if s is not None:
            As.append(adapter.arrays[f"{name}.lora_A"])
            Bs.append(np.float32(weight * s) * adapter.arrays[f"{name}.lora_B"])
    return np.concatenate(As, axis=1), np.concatenate(Bs)  # (d, R), (R, k)


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
    """-> a LoRA method and its arrays for the weighted sum of LoRA adapters, and module -> the share of its norm that was lost.

    `kind` is "cat", exact, with the sum of the ranks, or "svd", of the given rank. Raises ValueError for adapters that are not LoRA, or a
    rank that a module does not have.
    """
    other = next((adapter.method.name for adapter in adapters if not isinstance(adapter.method, LoRA)), None)
    if other or not adapters:
        raise ValueError(f"only LoRA adapters can be combined, not {other or 'none at all'}")
    if kind not in ("cat", "svd") or (kind == "svd") != (rank is not None):
        raise ValueError("combine with kind='cat', which is exact, or kind='svd' and a rank")
    arrays, ranks, lost = {}, {}, {}
    for name in dict.fromkeys(name for adapter in adapters for name in adapter.method.ranks(config)):
        A, B = factors(adapters, weights, config, name)
        lost[name] = 0.0
        if kind == "svd":
            A, B, lost[name] = truncate(A, B, rank)
        arrays[f"{name}.lora_A"], arrays[f"{name}.lora_B"], ranks[name] = A, B, len(B)
    usual = max(ranks.values())
    pattern = {re.escape(name): r for name, r in ranks.items() if r != usual}
    method = LoRA(rank=usual, alpha=float(usual), targets=tuple(ranks), rank_pattern=pattern, alpha_pattern=pattern)  # every s is 1
    method.ranks(config)
    return method, arrays, lost
