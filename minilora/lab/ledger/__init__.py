"""The ledger: what the common account of LoRA says, claim by claim, and what came out when it was measured or counted here.

claim.py says what a claim is. The claims stand in the other files by subject, each as a function from tables to an answer, so that no
number and no verdict is typed in: a table that says otherwise makes another answer. page.py writes docs/claims.md.
"""

from minilora.lab.ledger import cost, dials, kin, mechanism, rivals, when  # noqa: F401  (each adds its claims)
from minilora.lab.ledger.claim import CLAIMS, Answer, Claim, find, run_tables, stored_tables

__all__ = ["CLAIMS", "Answer", "Claim", "find", "run_tables", "stored_tables"]
