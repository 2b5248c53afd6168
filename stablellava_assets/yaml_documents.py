"""Read YAML into pydantic models so that every mistake names its file, line, key and reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

ModelT = TypeVar("ModelT", bound=BaseModel)
# The C parser is ten times as fast, and the code location waits for it; PyYAML's wheels carry it.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
KeyPath = tuple[str | int, ...]


class Document(BaseModel):
    """Base of everything read from YAML: unknown keys are mistakes, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DocumentError(ValueError):
    """A YAML file that cannot be used; the message lists ``file:line: key: reason`` a line each."""


def load_document(path: Path, model: type[ModelT]) -> ModelT:
    """Read ``path`` as ``model``.

    Raises:
        DocumentError: the file is missing, is not YAML, repeats a key, or does not fit ``model``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        root = yaml.compose(text, Loader=_Loader)
        content = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise DocumentError(f"{path}: not valid YAML: {error}") from error
    if root is None or not isinstance(content, dict):
        raise DocumentError(f"{path}:1: expected a mapping of settings")
    lines: dict[KeyPath, int] = {}
    repeated = _index_lines(root, (), lines)
    if repeated:
        raise DocumentError("\n".join(f"{path}:{line}: {_dotted(key)}: given twice" for key, line in repeated))
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise DocumentError("\n".join(_describe(path, lines, problem) for problem in error.errors())) from error


def _index_lines(node: yaml.Node, at: KeyPath, lines: dict[KeyPath, int]) -> list[tuple[KeyPath, int]]:
    """Record the line of every key below ``node``; return the keys that occur twice."""
    lines.setdefault(at, node.start_mark.line + 1)
    repeated: list[tuple[KeyPath, int]] = []
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = (*at, key_node.value)
            if key in lines:
                repeated.append((key, key_node.start_mark.line + 1))
            lines[key] = key_node.start_mark.line + 1
            repeated += _index_lines(value_node, key, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            repeated += _index_lines(item, (*at, index), lines)
    return repeated


def _describe(path: Path, lines: dict[KeyPath, int], problem: Any) -> str:
    key: KeyPath = tuple(problem["loc"])
    known = key
    while known and known not in lines:
        known = known[:-1]
    reason = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        reason = "is not a known setting"
    return f"{path}:{lines.get(known, 1)}: {_dotted(key) or 'document'}: {reason}"


def _dotted(key: KeyPath) -> str:
    return ".".join(str(part) for part in key)
