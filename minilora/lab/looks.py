"""What a trial sees on its way: at which steps it looks, and how the lists that it brings back become rows of a table."""


def marks(last):
    """1, 3, 10, 30, ... and `last`: steps at equal distances on a logarithmic scale."""
    found, mark = [], 1
    while mark < last:
        found += [mark, 3 * mark]
        mark *= 10
    return sorted({mark for mark in found if mark < last} | {last})


def long(rows):
    """Rows in which some cells are lists of one length -> a row for each entry, in which the other cells are repeated."""
    found = []
    for row in rows:
        lists = {name: cell for name, cell in row.items() if isinstance(cell, list)}
        found += [{**row, **dict(zip(lists, entries, strict=True))} for entries in zip(*lists.values(), strict=True)]
    return found
