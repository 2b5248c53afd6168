"""Benchmarks about several images, as Parquet files of the Hugging Face hub: BLINK (Fu et al., 2024), MuirBench (Wang
et al., 2024) and Mantis-Eval (Jiang et al., 2024)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stablellava_assets.evaluation.settings import BlinkSettings, MantisEvalSettings, MuirBenchSettings
from stablellava_assets.evaluation.suites.items import SuiteItem, suite_item, text_at
from stablellava_assets.evaluation.suites.pictures import Picture, Pictures, SuiteError
from stablellava_assets.text.conversations import IMAGE_MARK

_FEWEST_OPTIONS = 2
_ROWS_AT_ONCE = 16
_LETTERED = re.compile(r"\A\s*\(?[A-Z][).:]\s*")
_FIRST_OPTION = re.compile(r"\n\s*\(?A[).:]")
_SHORT_ANSWER = "short-answer"


@dataclass(frozen=True)
class _Layout:
    """The columns of a benchmark. ``images`` hold one image each, or a list of images; ``worded`` may hold the whole
    question, with its options at the end."""

    number: str
    ability: str
    images: tuple[str, ...]
    options: str
    worded: str | None = None
    kind: str | None = None

    @property
    def needed(self) -> list[str]:
        """The columns without which no row can be read."""
        kind = [] if self.kind is None else [self.kind]
        return [self.number, self.ability, "question", self.images[0], self.options, "answer", *kind]

    @property
    def read(self) -> list[str]:
        """The columns that are read where they exist."""
        return [*self.needed, *self.images[1:], *([] if self.worded is None else [self.worded])]


_LAYOUTS = {
    "blink": _Layout("idx", "sub_task", ("image_1", "image_2", "image_3", "image_4"), "choices", worded="prompt"),
    "muirbench": _Layout("idx", "task", ("image_list",), "options"),
    "mantis_eval": _Layout("id", "category", ("images",), "options", kind="question_type"),
}


def read_several_pictures(
    settings: BlinkSettings | MuirBenchSettings | MantisEvalSettings, pictures: Pictures | None = None
) -> list[SuiteItem]:
    """The items of the files; the ability is BLINK's ``sub_task``, MuirBench's ``task`` or Mantis-Eval's ``category``
    (``question_type`` where that is empty).

    A few rows are in memory at a time, their images in a temporary file. Marks in the question stand for the images in
    order. If options hold marks, or fewer stand in the question than there are images, every image is put before the
    question under its number, and marks become these numbers, so that options can be rotated. Questions of type
    ``short-answer`` are open ones. ``pictures`` is shared with other files.

    Raises:
        SuiteError: a file, a row or an image is invalid, or rows have no answers.
    """
    layout, pictures = _LAYOUTS[settings.suite], Pictures() if pictures is None else pictures
    items = [_item(settings, layout, row, where, pictures) for where, row in _rows(settings.file, layout)]
    return items if settings.circular else [{**item, "circular": False} for item in items]


def _rows(path: Path, layout: _Layout) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows, and the name of each in messages."""
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise SuiteError(f"{path}: holds no .parquet files; see benchmark.external in the profile")
    for file in files:
        try:
            parquet = pq.ParquetFile(file)
            if missing := [name for name in layout.needed if name not in parquet.schema_arrow.names]:
                raise SuiteError(
                    f"{file}: lacks the columns {', '.join(missing)}; see benchmark.external in the profile"
                )
            columns = [name for name in layout.read if name in parquet.schema_arrow.names]
            number = 0
            for batch in parquet.iter_batches(_ROWS_AT_ONCE, columns=columns, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{file}: row {number}, {layout.number} {row[layout.number]}", row
        except (pa.ArrowInvalid, OSError) as error:
            raise SuiteError(f"{file}: cannot be read as Parquet ({error}); download it again") from error


def _item(
    settings: BlinkSettings | MuirBenchSettings | MantisEvalSettings,
    layout: _Layout,
    row: Mapping[str, Any],
    where: str,
    pictures: Pictures,
) -> SuiteItem:
    number, question = row[layout.number], text_at("question", row["question"], where)
    if not isinstance(number, int | str):
        raise SuiteError(f"{where}: {layout.number}: must be a number or text, not {number!r}")
    if layout.worded is not None and isinstance(worded := row.get(layout.worded), str) and worded.strip():
        question = _FIRST_OPTION.split(worded)[0].strip()
    shown = list(_images(layout, row, where, pictures))
    answer = text_at("answer", row["answer"], where)
    if layout.kind is not None and row[layout.kind] == _SHORT_ANSWER:
        options: list[str] = []
        accepted = answer.strip()
    else:
        options = _options(layout, row, where)
        accepted = ""
    ability = row[layout.ability] or (row[layout.kind] if layout.kind is not None else None)
    question, options = _placed(question, options, len(shown), where)
    return suite_item(
        settings.name,
        text_at(layout.ability, ability, where),
        number,
        kind="choice" if options else "open",
        question=question,
        pictures=shown,
        accepted=[accepted or _right(answer, options, where)],
        options=options,
    )


def _images(layout: _Layout, row: Mapping[str, Any], where: str, pictures: Pictures) -> Iterator[Picture]:
    found = [image for name in layout.images for image in _listed(row.get(name))]
    if not found:
        raise SuiteError(f"{where}: {layout.images[0]}: there is no image")
    for place, image in enumerate(found, 1):
        encoded = image.get("bytes") if isinstance(image, dict) else None
        if not encoded:
            raise SuiteError(f"{where}: image {place}: its bytes are not in the file; download the file of the hub")
        yield pictures.copied(encoded, f"{where}: image {place}")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _options(layout: _Layout, row: Mapping[str, Any], where: str) -> list[str]:
    given = row[layout.options] or []
    # Mantis-Eval writes "(A) a dog", the others "a dog".
    if all(isinstance(option, str) and _LETTERED.match(option) for option in given):
        given = [_LETTERED.sub("", option) for option in given]
    options = [text_at(layout.options, option, where).strip() for option in given]
    if not _FEWEST_OPTIONS <= len(options) <= len(ascii_uppercase):
        raise SuiteError(f"{where}: {layout.options}: there are {len(options)} options to choose from")
    return options


def _placed(question: str, options: Sequence[str], count: int, where: str) -> tuple[str, list[str]]:
    """Question and options with a mark for each image, of which none is in an option."""
    marks = sum(text.count(IMAGE_MARK) for text in (question, *options))
    if marks > count:
        raise SuiteError(f"{where}: question: there are {marks} marks {IMAGE_MARK} and {count} images")
    if count == 1 and not any(IMAGE_MARK in option for option in options):
        question = question.replace(IMAGE_MARK, "").strip()
    elif question.count(IMAGE_MARK) < count:
        numbers = iter(range(1, count + 1))

        def named(text: str) -> str:
            return re.sub(re.escape(IMAGE_MARK), lambda mark: f"Image {next(numbers)}", text)

        # Images that no mark stands for come first in the question, as MuirBench's layout has them.
        question, options = named(question), [named(option) for option in options]
        question = "\n".join([*(f"Image {place}: {IMAGE_MARK}" for place in range(1, count + 1)), question])
    if repeated := [option for number, option in enumerate(options) if option in options[:number]]:
        raise SuiteError(f"{where}: two options are the same, {repeated[0]!r}")
    return question, list(options)


def _right(answer: str, options: Sequence[str], where: str) -> str:
    letter = answer.strip().strip("()").upper()
    if len(letter) != 1 or letter not in ascii_uppercase[: len(options)]:
        raise SuiteError(
            f"{where}: answer: {answer!r} is none of its options; take a split with answers, such as BLINK's val"
        )
    return options[ascii_uppercase.index(letter)]
