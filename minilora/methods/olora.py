"""OLoRA: PiSSA's arrangement with the QR factors of the weight in place of its singular vectors.

Source: Büyükakyüz 2024, arXiv 2406.01775, algorithm 1. The paper's weight is our W.T = Q R, with Q's columns orthonormal; A0 = R[:r].T and
B0 = Q[:, :r].T. B's rows start orthonormal, so that the first steps of B move in directions that do not overlap. A QR costs a fraction
of an SVD, but its first r columns are no best approximation of anything. s A0 B0 is taken from the frozen path, as in PiSSA.
"""

from dataclasses import dataclass

import numpy as np

from minilora.methods.pissa import PiSSA


@dataclass(frozen=True)
class OLoRA(PiSSA):
    """PiSSA, started from W.T = Q R."""

    name = "olora"

    def factors(self, W, r, s):
        Q, R = np.linalg.qr(W.T)  # (k, m), (m, d) with m = min(d, k)
        return np.ascontiguousarray(R[:r].T), np.ascontiguousarray(Q[:, :r].T)  # (d, r), (r, k)
