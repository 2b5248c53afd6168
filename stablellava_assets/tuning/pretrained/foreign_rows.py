"""Recognizes training rows in other layouts than LLaVA's, so that they are rejected and never misread."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping

from stablellava_assets.inputs.text_files import can_be_written
from stablellava_assets.text.conversations import GPT, Turn
from stablellava_assets.tuning.pretrained.unusable import UnusableRowError

_MEDIA_KEY = re.compile(
    r"images|ims?|imgs?|media|(?:image|img|picture|photo)[_-]?\d+|pictures?|photos?"
    r"|im(?:a)?g(?:e)?s?[_-]?(?:paths?|files?|file[_-]?names?|names?|urls?|bytes|base64|b64|data|list)"
    r"|(?:video|audio|sound|speech|wav|depth|point[_-]?cloud)s?(?:[_-]?(?:paths?|files?|urls?|bytes|names?))?"
    r"|pixel[_-]?values?",
    re.IGNORECASE,
)
_INSTRUCTIONS_KEY = re.compile(r"system(?:[_-]?(?:prompt|message))?|tools|functions", re.IGNORECASE)
_NOT_LEARNED_KEYS = ("weight", "loss", "train", "learn", "masked", "mask")
_TURNS_KEYS = (
    "messages",
    "conversation",
    "dialog",
    "dialogue",
    "texts",
    "turns",
    "chat",
    "instruction",
    "prompt",
    "question",
)
_FOREIGN_MARK = re.compile(
    r"<(?:video|audio|speech|sound|ImageHere|image_placeholder|im_patch|image"
    r"[_ ]?\d+|\|image_\d+\|)>|<\|(?:image|video|audio)(?:_pad)?\|>"
    r"|<img>[^<>\n]{1,400}</img>|<IMG_CONTEXT>|\[IMG\]|<image_soft_token>|<(?:start|end)_of_image>|"
    r"<\|vision_(?:start|end)\|>"
)
_CONTROL = (
    r"<\|[A-Za-z]\w{0,40}\|>|<\uff5c[^<>\n]{1,40}\uff5c>|<(?:start|end)_of_turn>|<end_of_utterance>|<(?:bos|eos)>"
    r"|<<SYS>>|\[/?INST\]"
)
_CONTROL_TOKEN = re.compile(_CONTROL)
# Elsewhere than at the end, "</s>" is HTML.
_LAST_TOKEN = re.compile(rf"(?:{_CONTROL}|</s>)\s*\Z")
_DATA = re.compile(
    r"(?:/9j/|iVBORw0KGgo|R0lGOD|UklGR|Qk[0-9A-Za-z+/])[A-Za-z0-9+/_=\s-]{60,}|[A-Za-z0-9+/_=\s-]{256,}\Z"
    r"|b(['\"])(?:\\x|GIF|RIFF|BM)"
)
_LONGEST_NAME = 4096
_SHOWN = 60


def described(value: object) -> str:
    """A JSON value in a few words: ``null``, ``a list``, ``the text 'a dog'``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "an infinite number"
    if isinstance(value, int | float):
        return f"the number {str(value)[:_SHOWN]}"
    if isinstance(value, str):
        return f"the text {value[:_SHOWN]!r}" + ("..." if len(value) > _SHOWN else "")
    return "a list" if isinstance(value, list) else "an object"


def foreign_media_key(entry: Mapping[str, object]) -> str | None:
    """The key under which a row or a turn of another layout has images, video or audio; None if there is none."""
    for key, value in entry.items():
        named = key != "image" and (_MEDIA_KEY.fullmatch(key) is not None or key.casefold() == "image")
        nothing = value in (None, "", [], {}) or (isinstance(value, float) and math.isnan(value))
        if named and not nothing and value != entry.get("image") and [entry.get("image")] != value:
            return key
    return None


def picture_name(named: object) -> str:
    """The name of an image file.

    Raises:
        ValueError: it is no name: image data, an address, or not text.
    """
    if isinstance(named, dict):
        raise UnusableRowError(
            "a picture is not named by its file",
            f"'image' holds an object with {', '.join(map(repr, named)) or 'nothing'}",
        )
    if not isinstance(named, str):
        raise UnusableRowError("a picture is not named by its file", f"'image' holds {described(named)}")
    if named.startswith("data:") or len(named) > _LONGEST_NAME or _DATA.match(named):
        raise UnusableRowError(
            "a picture is not named by its file",
            f"'image' holds picture data, {named[:24]!r}...; write it to a file and name that",
        )
    if re.match(r"[a-z][a-z0-9+.-]+://", named, re.IGNORECASE):
        raise UnusableRowError(
            "a picture is not named by its file",
            f"'image' holds the address {named[:_SHOWN]!r}; download it and name the file",
        )
    if not named.strip() or "\0" in named or not can_be_written(named):
        raise UnusableRowError("a picture is not named by its file", f"'image' holds {described(named)}")
    return named


def read_turns(entry: Mapping[str, object]) -> list[Turn]:
    """The turns of a row, each with ``from`` and ``value``.

    Raises:
        ValueError: there are none in LLaVA's layout, or one is not text; the turn is named.
    """
    turns = entry.get("conversations")
    if not isinstance(turns, list):
        other = [key for key in _TURNS_KEYS if entry.get(key)]
        contents = (
            f"'conversations' holds {described(turns)}" if "conversations" in entry else "it has no 'conversations'"
        )
        hint = (
            f", but {', '.join(map(repr, other))} of another layout"
            if other
            else f"; its keys are {', '.join(map(repr, list(entry)[:10])) or 'none'}"
        )
        raise UnusableRowError("no conversation in LLaVA's layout", f"{contents}{hint}")
    if (key := next((key for key in entry if _INSTRUCTIONS_KEY.fullmatch(key)), None)) and entry[key] not in (
        None,
        "",
        [],
        {},
        "[]",
    ):
        raise UnusableRowError(
            "instructions of another layout",
            f"{key!r} holds {described(entry[key])}; LLaVA's layout has none, and one sentence for all "
            "rows is tuning.model.system",
        )
    return [_turn(number, turn) for number, turn in enumerate(turns, 1)]


def _turn(number: int, turn: object) -> Turn:
    if not isinstance(turn, dict):
        raise UnusableRowError(
            "no conversation in LLaVA's layout", f"turn {number} is {described(turn)}, not an object"
        )
    if missing := [key for key in ("from", "value") if key not in turn]:
        keys = ", ".join(map(repr, turn)) or "none"
        raise UnusableRowError(
            "no conversation in LLaVA's layout", f"turn {number} has no {missing[0]!r}; its keys are {keys}"
        )
    speaker, value = turn["from"], turn["value"]
    if not isinstance(speaker, str):
        raise UnusableRowError("no conversation in LLaVA's layout", f"turn {number} is from {described(speaker)}")
    if (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and math.isfinite(value)):
        value = str(value)
    if not isinstance(value, str):
        raise UnusableRowError("a turn is not text", f"turn {number}, from {speaker}, is {described(value)}")
    if (key := foreign_media_key(turn) or ("image" if turn.get("image") else None)) is not None:
        raise UnusableRowError(
            "pictures, video or sound of another layout",
            f"turn {number}, from {speaker}, holds {key!r}; LLaVA's layout names pictures in the row's 'image'",
        )
    if key := next(
        (key for key in _NOT_LEARNED_KEYS if speaker == GPT and _says_not_learned(key, turn.get(key))), None
    ):
        raise UnusableRowError(
            "turns of another layout",
            f"turn {number}, from {speaker}, is not to be learned ({key!r} is {described(turn[key])}), and "
            "in LLaVA's layout every answer is",
        )
    if mark := _FOREIGN_MARK.search(value):
        raise UnusableRowError(
            "a mark of another layout",
            f"turn {number}, from {speaker}, holds {mark[0]}; LLaVA's layout has <image> alone",
        )
    if token := _CONTROL_TOKEN.search(_LAST_TOKEN.sub("", value) if speaker == GPT else value):
        raise UnusableRowError("a control token in a text", f"turn {number}, from {speaker}, holds {token[0]}")
    if not can_be_written(value):
        raise UnusableRowError(
            "no conversation in LLaVA's layout",
            f"turn {number}, from {speaker}, holds half of a character (surrogates not allowed)",
        )
    return {"from": speaker, "value": value}


def last_token(text: str) -> str | None:
    """The control token, of any tokenizer, at the end of a text; None if there is none."""
    found = _LAST_TOKEN.search(text)
    return None if found is None else found[0].strip()


def is_unseen(text: str) -> bool:
    """Whether a text is invisible: blanks, and characters without a glyph such as a byte order mark."""
    return all(sign.isspace() or unicodedata.category(sign) in ("Cc", "Cf") for sign in text)


def _says_not_learned(key: str, value: object) -> bool:
    return value is True if key.startswith("mask") else isinstance(value, bool | int | float) and not value
