"""Rows to tune on: conversations about any number of pictures, kept pairs and the user's own alike."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stablellava_assets.tables.identity import content_key, derive_seed
from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.settings import MixSettings

IMAGE_MARK = "<image>"
PAIRS, MIX = "filtered_pairs", "mix"
_ROLES = {"human": "user", "gpt": "assistant"}


@dataclass(frozen=True)
class TuningRow:
    """A conversation of LLaVA's turns (from: human or gpt; value), its pictures' files in the order of their marks.

    ``source`` is ``filtered_pairs`` or ``mix``, ``kind`` the question kind of a pair.
    """

    row_id: str
    source: str
    kind: str
    images: tuple[str, ...]
    conversations: tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class Rejection:
    """A row that is not trained on, and why."""

    row_id: str
    source: str
    reason: str


def messages_of(row: TuningRow) -> list[dict[str, Any]]:
    """Chat messages. A turn's only picture goes before its text, as LLaVA's training has it; several stay where they are.

    Raises:
        ValueError: turns do not alternate from human to gpt, one is empty, or marks and pictures differ in number.
    """
    speakers = [turn["from"] for turn in row.conversations]
    if not speakers or speakers != ["human", "gpt"] * (len(speakers) // 2):
        raise ValueError(f"turns must alternate human, gpt; they are {speakers}")
    marks = [turn["value"].count(IMAGE_MARK) for turn in row.conversations]
    if sum(marks[1::2]):
        raise ValueError(f"an answer holds {IMAGE_MARK}")
    if sum(marks) != len(row.images):
        raise ValueError(f"{sum(marks)} marks {IMAGE_MARK} for {len(row.images)} pictures")
    return [
        {"role": _ROLES[turn["from"]], "content": _content(turn["value"], count)}
        for turn, count in zip(row.conversations, marks, strict=True)
    ]


def _content(value: str, marks: int) -> list[dict[str, str]]:
    pieces = ["", value.replace(IMAGE_MARK, "")] if marks == 1 else value.split(IMAGE_MARK)
    content: list[dict[str, str]] = []
    for number, piece in enumerate(pieces):
        if number:
            content.append({"type": "image"})
        if piece.strip():
            content.append({"type": "text", "text": piece.strip()})
    if not any(part["type"] == "text" for part in content):
        raise ValueError("a turn is empty")
    return content


def mixed_rows(settings: MixSettings, pairs: int, seed: int) -> tuple[list[TuningRow], list[Rejection]]:
    """The user's rows that are trained on, and those that cannot be: a picture is missing, or the row is no conversation.

    Raises:
        PretrainedTuningError: the file cannot be read, or is not a list.
    """
    path = settings.conversations
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PretrainedTuningError(f"tuning.mix.conversations: {path} cannot be read as JSON: {error}") from error
    if not isinstance(entries, list):
        raise PretrainedTuningError(f"tuning.mix.conversations: {path} holds no list of conversations")
    chosen: Iterable[int] = range(len(entries))
    if settings.ratio is not None:
        wanted = round(settings.ratio * pairs)
        # By hash, so that a longer file or another ratio keeps most of what was drawn before.
        ranked = sorted(chosen, key=lambda index: derive_seed("mix", seed, entries[index].get("id"), index))
        chosen = sorted(ranked[:wanted])
    rows: list[TuningRow] = []
    rejected: list[Rejection] = []
    for index in chosen:
        row_id = f"{path.name}[{index}]"
        try:
            rows.append(_row(row_id, entries[index], settings.images))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            rejected.append(Rejection(row_id, MIX, f"no conversation in LLaVA's layout: {error}"))
        except FileNotFoundError as error:
            rejected.append(Rejection(row_id, MIX, f"picture is missing: {error}"))
    return rows, rejected


def _row(row_id: str, entry: Mapping[str, Any], folder: Path) -> TuningRow:
    named = entry.get("image") or []
    images = [str((folder / name).resolve()) for name in ([named] if isinstance(named, str) else named)]
    for image in images:
        if not Path(image).is_file():
            raise FileNotFoundError(image)
    turns = [{"from": turn["from"], "value": str(turn["value"])} for turn in entry["conversations"]]
    if turns and turns[0]["from"] == "gpt":
        turns = turns[1:]  # As LLaVA's own reader does.
    if len(images) == 1 and turns and not any(IMAGE_MARK in turn["value"] for turn in turns):
        raise ValueError(f"a picture and no mark {IMAGE_MARK}")
    row = TuningRow(row_id, MIX, "", tuple(images), tuple(turns))
    messages_of(row)
    return row


def mix_key(settings: MixSettings | None) -> str | None:
    """A hash of the user's conversations and of the sizes of the pictures they name.

    Raises:
        PretrainedTuningError: the file is not there.
    """
    if settings is None:
        return None
    try:
        text = settings.conversations.read_bytes()
    except OSError as error:
        raise PretrainedTuningError(
            f"tuning.mix.conversations: {settings.conversations} cannot be read: {error}"
        ) from error
    if not settings.images.is_dir():
        raise PretrainedTuningError(f"tuning.mix.images: there is no folder {settings.images}")
    names = sorted(set(re.findall(rb'"image":\s*"([^"]+)"', text)))
    sizes = [path.stat().st_size if (path := settings.images / name.decode()).is_file() else None for name in names]
    return content_key("mix", text.hex() if len(text) < 1024 else _digest(text), sizes, settings.ratio)


def _digest(data: bytes) -> str:
    import hashlib

    return hashlib.blake2b(data, digest_size=16).hexdigest()


def write_rows(path: Path, rows: Iterable[TuningRow | Rejection]) -> None:
    """One JSON object a line; the file appears complete or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
    partial.replace(path)


def read_rows(path: Path) -> list[TuningRow]:
    """The rows that :func:`write_rows` wrote."""
    return [
        TuningRow(**{**entry, "images": tuple(entry["images"]), "conversations": tuple(entry["conversations"])})
        for entry in _lines(path)
    ]


def read_rejections(path: Path) -> list[Rejection]:
    """The rejections that :func:`write_rows` wrote; none where there is no file."""
    return [Rejection(**entry) for entry in _lines(path)] if path.exists() else []


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def count_by(values: Sequence[str]) -> dict[str, int]:
    """How often each value occurs, the most frequent first."""
    from collections import Counter

    return dict(Counter(values).most_common())
