"""Tables as text: Markdown, or aligned for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence

Line = Sequence[str]


def table(header: Line, rows: Sequence[Line], *, markdown: bool, rules: Collection[int] = ()) -> str:
    """First column left-aligned, numbers right-aligned; ``rules`` as in :func:`aligned_table`, for terminals only."""
    return markdown_table(header, rows) if markdown else aligned_table(header, rows, rules=rules)


def markdown_table(header: Line, rows: Sequence[Line]) -> str:
    """First column left-aligned, the others right-aligned."""
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
        left: the left-aligned columns.
        rules: the rows with a horizontal rule above them.
        rule_gap: the text of a rule between two columns.
    """
    widths = [max(map(len, cells)) for cells in zip(header, *rows, strict=True)]

    def text(line: Line) -> str:
        cells = enumerate(zip(line, widths, strict=True))
        return "  ".join(cell.ljust(width) if at in left else cell.rjust(width) for at, (cell, width) in cells).rstrip()

    lines, rule = [text(header)], rule_gap.join("-" * width for width in widths)
    for number, row in enumerate(rows):
        lines += [rule, text(row)] if number in rules else [text(row)]
    return "\n".join(lines)


def number_text(value: float | None) -> str:
    """A number with three decimals; empty for None."""
    return "" if value is None else f"{value:.3f}"
