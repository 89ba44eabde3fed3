"""Lists as columns of text."""

from collections.abc import Sequence

from rich.cells import cell_len

_GAP = "  "


def in_columns(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Return rows as lines, with the cells of each column below each other.

    Args:
        rows: The cells of each row; all have the same number.
        right: Numbers of the columns whose cells end below each other, as numbers should.

    Example:
        >>> in_columns([["ID", "BYTES", "NAME"], ["7", "1,200", "x"]], right=[1])
        ['ID  BYTES  NAME', '7   1,200  x']
    """
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
            blanks = " " * (width - cell_len(cell))
            cells.append(blanks + cell if number in right else cell + blanks)
        lines.append(_GAP.join(cells).rstrip())
    return lines
