"""The user's list of photographs and questions about them: JSON lines, validated line by line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from stablellava_assets.evaluation.answers.choices import MOST_OPTIONS
from stablellava_assets.evaluation.kinds import AskedKind
from stablellava_assets.inputs.folders import files_of
from stablellava_assets.inputs.text_files import TextFileError, read_text, unreadable_json
from stablellava_assets.inputs.yaml_documents import Document, DocumentError, MistakeAtKeyError
from stablellava_assets.pictures.decoding import UndecodablePictureError, upright
from stablellava_assets.text.conversations import IMAGE_MARK
from stablellava_assets.text.keywords import find_keyword, holds_words, same_keyword

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_SHOWN = 20
_OPTIONS = {"either_or": (2, 2), "choice": (2, MOST_OPTIONS)}


class Photograph(Document):
    """One line: a question about a photograph."""

    image: Text = Field(description="Image file, relative to the folder of the list.")
    ability: Text = Field(description="Ability that is measured.")
    question: Text
    accepted: tuple[Text, ...] = Field(
        min_length=1, description="Keywords; a right answer contains at least one of them."
    )
    kind: AskedKind
    options: tuple[Text, ...] = Field((), description="For either_or the two words; for choice the options, in order.")
    refused: tuple[Text, ...] = Field(
        (), description="Keywords that make an answer wrong, in addition to the other option of either_or."
    )
    credit: str | None = Field(None, description="Author and licence of the image; not used in the question.")

    @field_validator("accepted", "options", "refused", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("question")
    @classmethod
    def _without_marks(cls, value: str) -> str:
        if IMAGE_MARK in value:
            raise ValueError(
                f"holds {IMAGE_MARK}, which stands for a picture; the line's image is shown before the question"
            )
        return value

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind == "yes_no" and self.accepted not in (("yes",), ("no",)):
            raise MistakeAtKeyError(("accepted",), 'must be ["yes"] or ["no"] with kind yes_no')
        low, high = _OPTIONS.get(self.kind, (0, 0))
        if not low <= len(self.options) <= high or len(set(self.options)) != len(self.options):
            wanted = {0: "no options", 2: "two different options"}.get(high, f"{low} to {high} different options")
            raise MistakeAtKeyError(("options",), f"{self.kind} takes {wanted}")
        if self.kind == "choice" and not (len(self.accepted) == 1 and self.accepted[0] in self.options):
            raise MistakeAtKeyError(("accepted",), "must be one of the options with kind choice")
        return self

    @model_validator(mode="after")
    def _can_be_answered(self) -> Self:
        # A choice is answered by letter, so its options may be symbols.
        if self.kind == "choice":
            return self
        for key in ("accepted", "options", "refused"):
            for keyword in getattr(self, key):
                if not holds_words(keyword):
                    raise MistakeAtKeyError((key,), f"{keyword!r} holds no word, so no answer holds it")
        right = self._accepted_options()
        for keyword in self.refused:
            if any(same_keyword(keyword, other) for other in (*self.accepted, *right)):
                raise MistakeAtKeyError(("refused",), f"{keyword!r} is accepted as well")
        if self.kind == "either_or" and len(right) != 1:
            raise MistakeAtKeyError(("accepted",), "must name one of the options, and one alone, with kind either_or")
        return self

    @property
    def all_refused(self) -> tuple[str, ...]:
        """``refused``, and for either_or the option that is not accepted: an answer that repeats both is wrong."""
        if self.kind != "either_or":
            return self.refused
        right = self._accepted_options()
        return tuple(dict.fromkeys([*self.refused, *(option for option in self.options if option not in right)]))

    def _accepted_options(self) -> list[str]:
        """The options that equal an accepted keyword or else contain one: hat is part of top
        hat, but may be the other option."""
        same = [option for option in self.options if any(same_keyword(option, word) for word in self.accepted)]
        return same or [option for option in self.options if any(find_keyword(word, option) for word in self.accepted)]


@dataclass(frozen=True)
class PhotographRecord:
    """A photograph, the line that lists it, and the path of its file."""

    line: int
    photograph: Photograph
    path: Path


def list_file(given: Path) -> Path:
    """The list of photographs: ``given`` itself, or the only ``.jsonl`` file in that folder.

    Raises:
        DocumentError: there is none, or more than one.
    """
    try:
        if not given.is_dir():
            if not given.exists():
                raise DocumentError(f"{given}: no such file or folder (benchmark.photographs)")
            return given
        found = files_of(given, ".jsonl")
    except OSError as error:
        raise DocumentError(f"{given}: cannot be listed ({error.strerror}) (benchmark.photographs)") from error
    if len(found) != 1:
        raise DocumentError(f"{given}: holds {len(found)} .jsonl files, not one (benchmark.photographs)")
    return found[0]


def read_photographs(given: Path, abilities: Iterable[str]) -> list[PhotographRecord]:
    """Every line of the list, in order; blank lines are ignored.

    Args:
        given: the list or its folder.
        abilities: those of the catalog.

    Raises:
        DocumentError: all mistakes, one per line: file, line, key and reason.
    """
    path = list_file(given)
    try:
        # Not splitlines, which also splits at characters that may occur in JSON strings.
        lines = read_text(path).split("\n")
    except TextFileError as error:
        raise DocumentError(str(error)) from error
    known = list(abilities)
    listed: list[PhotographRecord] = []
    mistakes: list[str] = []
    first: dict[tuple[str, ...], int] = {}
    problem = cache(undecodable)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        one = _parse(path, number, line)
        if isinstance(one, PhotographRecord):
            mistakes += [f"{path}:{number}: {problem}" for problem in _problems(one, known, first, problem)]
            listed.append(one)
        else:
            mistakes += one
    if not (listed or mistakes):
        mistakes.append(f"{path}: lists no photograph")
    if mistakes:
        more = [f"{path}: and {len(mistakes) - _SHOWN} more mistakes"] if len(mistakes) > _SHOWN else []
        raise DocumentError("\n".join([*mistakes[:_SHOWN], *more]))
    return listed


def _parse(path: Path, number: int, line: str) -> PhotographRecord | list[str]:
    try:
        photograph = Photograph.model_validate(json.loads(line, object_pairs_hook=_fields))
    except json.JSONDecodeError as error:
        return [f"{path}:{number}: not JSON: {error.msg} at column {error.colno}"]
    except MistakeAtKeyError as error:
        return [f"{path}:{number}: {'.'.join(map(str, error.key))}: {error}"]
    except ValidationError as error:
        return [f"{path}:{number}: {_describe(problem)}" for problem in error.errors()]
    except (RecursionError, ValueError) as error:
        return [f"{path}:{number}: not JSON: {unreadable_json(error)}"]
    return PhotographRecord(number, photograph, path.parent / photograph.image)


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Parse a JSON object and reject repeated keys, of which Python would silently keep the last value."""
    fields: dict[str, object] = {}
    for key, value in pairs:
        if key in fields:
            raise MistakeAtKeyError((key,), "given twice")
        fields[key] = value
    return fields


def _describe(problem: Any) -> str:
    raised = problem.get("ctx", {}).get("error")
    key = (*problem["loc"], *(raised.key if isinstance(raised, MistakeAtKeyError) else ()))
    reason = "is not a known key" if problem["type"] == "extra_forbidden" else problem["msg"]
    return f"{'.'.join(map(str, key)) or 'line'}: {reason.removeprefix('Value error, ')}"


def _problems(
    one: PhotographRecord,
    abilities: list[str],
    first: dict[tuple[str, ...], int],
    problem: Callable[[Path], str | None],
) -> Iterator[str]:
    photograph = one.photograph
    if photograph.ability not in abilities:
        yield f"ability: there is no {photograph.ability!r}; the catalog has {', '.join(abilities)}"
    if (reason := problem(one.path)) is not None:
        yield f"image: {reason}"
    asked = (photograph.image, photograph.ability, photograph.kind, photograph.question)
    if (before := first.setdefault(asked, one.line)) != one.line:
        yield f"question: line {before} asks the same about the same picture"


def undecodable(path: Path) -> str | None:
    """Why a file cannot be decoded as an image; None if it can."""
    try:
        encoded = path.read_bytes()
    except FileNotFoundError:
        return f"there is no file {path}"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    except ValueError:
        return f"{str(path)!r} is no name of a file"
    try:
        upright(encoded)
    except UndecodablePictureError as error:
        return f"{path} cannot be decoded: {error}"
    return None
