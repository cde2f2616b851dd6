"""The exercises: how they are made from solutions (convert.py), checked as a student works (checking.py), and graded (grade.py).

from minilora.classroom import checker
check = checker(seed=0)
check("lora_dA", lora_dA)
"""

from minilora.classroom.checking import check, checker, example

__all__ = ["check", "checker", "example"]
