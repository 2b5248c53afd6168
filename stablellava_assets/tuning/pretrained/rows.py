"""Training rows: conversations about any number of images, from kept pairs and from the user's own data."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from stablellava_assets.inputs.explained import system_message
from stablellava_assets.inputs.text_files import JsonEntry, TextFileError, json_values
from stablellava_assets.pictures.decoding import rendered_otherwise
from stablellava_assets.tables.files import whole_file
from stablellava_assets.tables.identity import content_key, derive_seed
from stablellava_assets.text.conversations import (
    CHAT_ROLES,
    GPT,
    IMAGE_MARK,
    ChatMessage,
    ContentPart,
    Turn,
    alternate,
    content_of,
    marks_of,
    speakers_of,
)
from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.foreign_rows import (
    described,
    foreign_media_key,
    is_unseen,
    picture_name,
    read_turns,
)
from stablellava_assets.tuning.pretrained.settings import MixSettings
from stablellava_assets.tuning.pretrained.unusable import UnusableRowError

PAIRS, MIX = "filtered_pairs", "mix"
_SHOWN = 200
_NEVER_RENDERED_OTHERWISE = (".jpg", ".jpeg", ".bmp")


@dataclass(frozen=True)
class TuningRow:
    """A conversation in LLaVA's turns (from: human or gpt; value), and its image files in the order of their marks.

    ``source`` is ``filtered_pairs`` or ``mix``; ``kind`` is the question kind of a pair.
    """

    row_id: str
    source: str
    kind: str
    images: tuple[str, ...]
    conversations: tuple[Turn, ...]


@dataclass(frozen=True)
class Rejection:
    """A row that is not trained on, and the reason."""

    row_id: str
    source: str
    reason: str
    kind: str = ""
    """The kind by which rejections are counted; empty in jobs started by an earlier version."""

    @staticmethod
    def of(row_id: str, source: str, error: ValueError) -> Rejection:
        """From the error that a row raised."""
        return Rejection(row_id, source, str(error), error.kind if isinstance(error, UnusableRowError) else str(error))


def messages_of(row: TuningRow) -> list[ChatMessage]:
    """Chat messages (see :func:`content_of`).

    Raises:
        ValueError: turns do not alternate from human to gpt, one is empty, or marks and images differ in number.
    """
    if not alternate(row.conversations):
        raise UnusableRowError("turns must alternate human, gpt", f"they are {speakers_of(row.conversations)}")
    marks = marks_of(row.conversations)
    if sum(marks[1::2]):
        raise UnusableRowError(f"an answer holds {IMAGE_MARK}")
    if sum(marks) != len(row.images):
        raise UnusableRowError(
            "marks and pictures differ in number", f"{sum(marks)} marks {IMAGE_MARK}, {len(row.images)} pictures"
        )
    return [{"role": CHAT_ROLES[turn["from"]], "content": _content(turn["value"])} for turn in row.conversations]


def _content(value: str) -> list[ContentPart]:
    content = [part for part in content_of(value) if "text" not in part or not is_unseen(part["text"])]
    if not any(part["type"] == "text" for part in content):
        raise UnusableRowError("a turn is empty")
    return content


def mixed_rows(settings: MixSettings, pairs: int, seed: int) -> tuple[list[TuningRow], list[Rejection]]:
    """The user's rows that are trained on, and the rejected ones: an image is missing, or the row is no conversation.

    Raises:
        PretrainedTuningError: the file cannot be read, or holds no conversations.
    """
    rows, rejected = take(drawn_rows(settings, seed), wanted_rows(settings, pairs))
    return sorted(rows, key=_place), sorted(rejected, key=_place)


def wanted_rows(settings: MixSettings, pairs: int) -> int | None:
    """How many of the user's rows are used; all of them if no ratio is set."""
    return None if settings.ratio is None else round(settings.ratio * pairs)


def drawn_rows(settings: MixSettings, seed: int, known: Collection[str] = ()) -> Iterator[TuningRow | Rejection]:
    """The user's rows in the order in which they are drawn, without those whose ids are ``known``.

    Raises:
        PretrainedTuningError: the file cannot be read, or holds no conversations.
    """
    path = settings.conversations
    entries = _entries(path)
    # Ordered by hash, so that a longer file or another ratio keeps most of the previous draw.
    for index in sorted(
        range(len(entries)), key=lambda index: derive_seed("mix", seed, _id(entries[index].value), index)
    ):
        row_id = f"{path.name}[{index}]"
        if row_id not in known:
            yield _read(row_id, entries[index], settings.images)


def take(drawn: Iterator[TuningRow | Rejection], wanted: int | None) -> tuple[list[TuningRow], list[Rejection]]:
    """The next ``wanted`` rows, or all that are left, and the rows that were rejected on the way."""
    rejected: list[Rejection] = []

    def rows() -> Iterator[TuningRow]:
        for each in drawn:
            if isinstance(each, TuningRow):
                yield each
            else:
                rejected.append(each)

    return list(islice(rows(), wanted)), rejected


def _place(row: TuningRow | Rejection) -> int:
    return int(row.row_id.rpartition("[")[2].removesuffix("]"))


def _id(entry: object) -> Any:
    return entry.get("id") if isinstance(entry, dict) else None


def _entries(path: Path) -> list[JsonEntry]:
    """The entries of a file of conversations: a JSON array, or one object per line."""
    try:
        entries = json_values(path)
    except TextFileError as error:
        raise PretrainedTuningError(
            f"tuning.mix.conversations: {path} cannot be read as a JSON array of conversations, or as one a line: "
            f"{error}"
        ) from error
    if not entries:
        raise PretrainedTuningError(
            f"tuning.mix.conversations: {path} holds no rows; name another file, or leave tuning.mix out"
        )
    return entries


def _read(row_id: str, entry: JsonEntry, folder: Path) -> TuningRow | Rejection:
    try:
        if entry.mistake is not None:
            raise UnusableRowError("not JSON", f"line {entry.line}: {entry.mistake}")
        return _row(row_id, entry.value, folder)
    except ValueError as error:
        return Rejection.of(row_id, MIX, error)


def _row(row_id: str, entry: object, folder: Path) -> TuningRow:
    """A row in LLaVA's layout.

    Raises:
        ValueError: it is not in that layout; the message is the reason.
    """
    if not isinstance(entry, dict):
        raise UnusableRowError("no conversation in LLaVA's layout", f"the row is {described(entry)}, not an object")
    images = [str(_picture_file(name, folder)) for name in _pictures(entry)]
    turns = read_turns(entry)
    if turns and turns[0]["from"] == GPT:
        turns = turns[1:]  # As LLaVA's own reader does.
    if len(images) == 1 and turns and not any(marks_of(turns)):
        raise UnusableRowError("no conversation in LLaVA's layout", f"a picture and no mark {IMAGE_MARK}")
    row = TuningRow(row_id, MIX, "", tuple(images), tuple(turns))
    try:
        messages_of(row)
    except ValueError as error:
        raise UnusableRowError("no conversation in LLaVA's layout", str(error)) from error
    return row


def _pictures(entry: Mapping[str, object]) -> list[str]:
    """The names of a row's images.

    Raises:
        ValueError: they are under the key of another layout, or are not names.
    """
    if (key := foreign_media_key(entry)) is not None:
        raise UnusableRowError(
            "pictures, video or sound of another layout",
            f"{key!r} holds {described(entry[key])}; LLaVA's layout names picture "
            "files in 'image', and has no video or sound",
        )
    return [picture_name(name) for name in _named_pictures(entry)]


def _named_pictures(entry: Mapping[str, object]) -> list[Any]:
    named = entry.get("image")
    # pandas writes NaN for missing values.
    if named is None or named == "" or (isinstance(named, float) and math.isnan(named)):
        return []
    return named if isinstance(named, list) else [named]


def _picture_file(name: str, folder: Path) -> Path:
    try:
        path = (folder / name).resolve()
        if path.is_file():
            return path
    except OSError as error:
        raise UnusableRowError("picture cannot be read", f"{system_message(error)[:_SHOWN]}") from error
    hint = "; folders are parted by / here" if "\\" in name else ""
    raise UnusableRowError("picture is missing", f"{path}{hint}")


def mix_key(settings: MixSettings | None) -> str | None:
    """Hash of the user's conversations and of the sizes of the images they name.

    Raises:
        PretrainedTuningError: the file does not exist, or holds no conversations.
    """
    if settings is None:
        return None
    entries = [entry.value for entry in _entries(settings.conversations)]
    try:
        if not settings.images.is_dir():
            raise PretrainedTuningError(f"tuning.mix.images: there is no folder {settings.images}")
    except OSError as error:
        raise PretrainedTuningError(f"tuning.mix.images: cannot be looked at ({system_message(error)})") from error
    listed = [_named_pictures(entry) for entry in entries if isinstance(entry, dict)]
    names = sorted({name for names in listed for name in names if isinstance(name, str)})
    sizes = [_size(settings.images / name) for name in names]
    # Entries that earlier versions read differently: rows that are now rejected, and images
    # with another conversion to RGB.
    otherwise = [index for index, entry in enumerate(entries) if _was_misread(entry)]
    rendered = [
        (name, found)
        for name, size in zip(names, sizes, strict=True)
        if size is not None and not name.lower().endswith(_NEVER_RENDERED_OTHERWISE)
        if (found := sorted(set(rendered_otherwise(settings.images / name)) - {"turned"}))
    ]
    changed = [otherwise, rendered] if otherwise or rendered else []
    written = hashlib.blake2b(settings.conversations.read_bytes()).hexdigest()
    return content_key("mix", written, sizes, settings.ratio, *changed)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except (OSError, ValueError):  # No name of a file.
        return None


def _was_misread(entry: object) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("conversations"), list):
        return False
    try:
        _pictures(entry)
        read_turns(entry)
    except ValueError:
        return True
    return False


def write_rows(path: Path, rows: Iterable[TuningRow | Rejection]) -> None:
    """Write one JSON object per line, atomically."""
    with whole_file(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")


def read_rows(path: Path) -> list[TuningRow]:
    """The rows written by :func:`write_rows`."""
    return [
        TuningRow(**{**entry, "images": tuple(entry["images"]), "conversations": tuple(entry["conversations"])})
        for entry in _lines(path)
    ]


def read_rejections(path: Path) -> list[Rejection]:
    """The rejections written by :func:`write_rows`; none if there is no file."""
    return [Rejection(**entry) for entry in _lines(path)] if path.exists() else []


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def count_by(values: Sequence[str]) -> dict[str, int]:
    """Occurrences of each value, most frequent first."""
    from collections import Counter

    return dict(Counter(values).most_common())
