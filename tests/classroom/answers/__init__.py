"""Answers to the exercises, a file for each notebook: right ones that are written otherwise than the solution, and plausible wrong ones.

Each is the body of the function: an expression to be returned, or statements.
"""

from answers import adapters, backward, counting, family, layers, pair, structures, training

ANSWERS = {
    name: answers
    for theme in (counting, pair, backward, layers, training, family, structures, adapters)
    for name, answers in theme.ANSWERS.items()
}
