"""Tables of text, for people: as Markdown, or aligned for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence

Line = Sequence[str]


def table(header: Line, rows: Sequence[Line], *, markdown: bool, rules: Collection[int] = ()) -> str:
    """The first column to the left, numbers to the right; ``rules`` as of :func:`aligned_table`, in a terminal."""
    return markdown_table(header, rows) if markdown else aligned_table(header, rows, rules=rules)


def markdown_table(header: Line, rows: Sequence[Line]) -> str:
    """The first column to the left, the others to the right."""
    lines = [header, ("---", *("---:" for _ in header[1:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def aligned_table(
    header: Line,
    rows: Sequence[Line],
    *,
    left: Collection[int] = (0,),
    rules: Collection[int] = (),
    rule_gap: str = "  ",
) -> str:
    """Columns two spaces apart.

    Args:
        header: the names of the columns.
        rows: their cells.
        left: the columns that stand to the left.
        rules: the rows that have a rule above them.
        rule_gap: what a rule has between two columns.
    """
    widths = [max(map(len, cells)) for cells in zip(header, *rows, strict=True)]

    def text(line: Line) -> str:
        cells = enumerate(zip(line, widths, strict=True))
        return "  ".join(cell.ljust(width) if at in left else cell.rjust(width) for at, (cell, width) in cells).rstrip()

    lines, rule = [text(header)], rule_gap.join("-" * width for width in widths)
    for number, row in enumerate(rows):
        lines += [rule, text(row)] if number in rules else [text(row)]
    return "\n".join(lines)
