"""Many (d, k, r) at once: a million triples in some hundredths of a second, each checked for overflow.

64-bit integers wrap round without a word, so the test comes before the product: d k fits if d <= LIMIT // k. `count_pairs` is the readable
twin of the compiled loop in minilora/kernels/counting.py; which of the two runs is chosen as everywhere, in minilora/ops.py.
"""

import numpy as np

from minilora import ops
from minilora.counting.pair import LIMIT, full_params, lora_params


def count_pairs(d, k, r, full, lora):
    """full = d k and lora = r (d + k), all (n,) int64, in place -> the index of the first triple that cannot be counted, -1 if none."""
    for i, (di, ki, ri) in enumerate(zip(d.tolist(), k.tolist(), r.tolist(), strict=True)):
        if min(di, ki, ri) < 1 or di * ki > LIMIT or ri * (di + ki) > LIMIT:
            return i
        full[i] = di * ki
        lora[i] = ri * (di + ki)
    return -1


def _integers(name, values):
    values = np.asarray(values)
    if not np.can_cast(values.dtype, np.int64):
        raise ValueError(f"{name} is an array of {values.dtype}: give whole numbers of at most 64 bits with a sign")
    return values.astype(np.int64, copy=False)


def sweep(d, k, r):
    """full_params and lora_params of arrays of integers, broadcast against each other -> two int64 arrays of the common shape.

    ValueError for arrays that do not hold integers, and for the first triple that full_params or lora_params would refuse.
    """
    triples = np.broadcast_arrays(*(_integers(name, values) for name, values in (("d", d), ("k", k), ("r", r))))
    shape = triples[0].shape
    d, k, r = (np.ascontiguousarray(values).reshape(-1) for values in triples)  # (n,) each
    full, lora = np.empty_like(d), np.empty_like(d)  # (n,) each
    if ops.choose() is ops.reference():
        refused = count_pairs(d, k, r, full, lora)
    else:
        from minilora.kernels import counting as compiled

        refused = compiled.count_pairs(d, k, r, full, lora)
    if refused >= 0:
        full_params(d[refused], k[refused]), lora_params(d[refused], k[refused], r[refused])  # one of them says why
    return full.reshape(shape), lora.reshape(shape)
