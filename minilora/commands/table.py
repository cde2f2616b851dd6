"""A table for people: columns as wide as what stands in them, words to the left and numbers to the right."""


def table(header, rows):
    """header: the columns' titles; rows: as many strings each -> the lines, joined. The first column is words, the others are numbers."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = []
    for row in (header, *rows):
        cells = [text.rjust(width) if column else text.ljust(width) for column, (text, width) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
