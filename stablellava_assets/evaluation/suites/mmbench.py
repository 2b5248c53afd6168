"""MMBench (Liu et al., 2023, "MMBench: Is Your Multi-modal Model an All-around Player?")."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stablellava_assets.evaluation.suites.items import SuiteItem, read_text, suite_item
from stablellava_assets.evaluation.suites.pictures import Pictures, SuiteError
from stablellava_assets.inputs.text_files import TextFileError, csv_rows, header_of

_NEEDED = ("index", "question", "A", "B", "answer", "category", "image")
_LETTERS = "ABCDEFGH"
_FIRST_ROTATION = 1_000_000
_FEWEST_OPTIONS = 2
_LONGEST_REFERENCE = 64


def read_mmbench(file: Path, name: str, pictures: Pictures | None = None) -> list[SuiteItem]:
    """Items of an MMBench file, such as ``MMBench_DEV_EN.tsv``; the ability is the category.

    The files are tab-separated: ``index``, ``question``, ``hint`` (may be empty), ``A`` to ``D`` (options; empty if
    there are fewer), ``answer`` (a letter), ``category``, ``l2-category`` (its group; not read), ``image`` (base64, or
    the index of the row that has the image), and more. ``nan``, as pandas writes it, counts as an empty cell. Early
    files repeat each question with rotated options, under indices of 1,000,000 and more. These rows are skipped, since
    every rotation is asked anyway. ``pictures`` is shared with other files.

    Raises:
        SuiteError: a row is invalid, or the file has no answers.
    """
    rows = _rows(file)
    pictures = Pictures() if pictures is None else pictures
    if rows and not any(row["answer"].strip() for row in rows):
        raise SuiteError(f"{file}: no row has an answer; take a file with answers, such as DEV")
    images = {row["index"]: row["image"] for row in rows}
    items: list[SuiteItem] = []
    for line, row in enumerate(rows, 2):
        where = f"{file}: row {line}, index {row['index']}"
        if row["index"].isdecimal() and int(row["index"]) >= _FIRST_ROTATION:
            continue
        if blank := [column for column in ("index", "question", "category") if not row[column].strip()]:
            raise SuiteError(f"{where}: {blank[0]}: is missing")
        options = _options(row, where)
        hint = row.get("hint", "").strip()
        items.append(
            suite_item(
                name,
                row["category"],
                row["index"],
                kind="choice",
                question=f"{hint}\n{row['question']}" if hint else row["question"],
                pictures=[pictures.in_base64(_resolved_image(row["image"], images, where), where)],
                accepted=[_right(row["answer"], options, where)],
                options=list(options.values()),
            )
        )
    return items


def _rows(file: Path) -> list[dict[str, str]]:
    columns: list[str] = []
    rows: list[dict[str, str]] = []
    try:
        for number, row in enumerate(csv_rows(read_text(file), str(file), "\t")):
            if number == 0:
                columns = header_of(row.cells, str(file))
            elif any(row.cells):
                cells = [*row.cells, *("" for _ in columns[len(row.cells) :])]
                rows.append({column: _cell(cell) for column, cell in zip(columns, cells, strict=False)})
    except TextFileError as error:
        raise SuiteError(f"{error}; see benchmark.external in the profile") from error
    if missing := [column for column in _NEEDED if column not in columns]:
        raise SuiteError(f"{file}: lacks the columns {', '.join(missing)}; MMBench's files are tab-separated")
    return rows


def _cell(value: str) -> str:
    return "" if value == "nan" else value


def _options(row: Mapping[str, str], where: str) -> dict[str, str]:
    options = {letter: option for letter in _LETTERS if (option := row.get(letter, "").strip())}
    for letter, option in options.items():
        first = next(other for other, same in options.items() if same == option)
        if first != letter:
            raise SuiteError(f"{where}: {letter}: is the same option as {first}, {option!r}")
    if len(options) < _FEWEST_OPTIONS:
        raise SuiteError(f"{where}: A, B: there are not two options to choose from")
    return options


def _right(answer: str, options: Mapping[str, str], where: str) -> str:
    letter = answer.strip().upper()
    if not letter:
        raise SuiteError(f"{where}: answer: is missing, which other rows have; take a whole file, or leave the row out")
    if letter not in options:
        raise SuiteError(f"{where}: answer: {answer!r} is none of its options")
    return options[letter]


def _resolved_image(image: str, images: Mapping[str, str], where: str) -> str:
    """An image in base64: ``image`` itself, or that of the row whose index it is, which
    may refer to another row in turn."""
    passed: set[str] = set()
    while len(image) <= _LONGEST_REFERENCE:
        if image in passed or image not in images:
            raise SuiteError(f"{where}: image: {image!r} is neither a picture nor the index of a row with one")
        passed.add(image)
        image = images[image]
    return image
