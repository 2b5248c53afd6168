"""Reads YAML into pydantic models; every mistake is reported with file, line, key and reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.inputs.text_files import TextFileError, read_text

ModelT = TypeVar("ModelT", bound=BaseModel)
KeyPath = tuple[str | int, ...]


def expanded(path: Path) -> Path:
    """A path with its tilde expanded; used everywhere.

    Raises:
        ValueError: there is no such home folder.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: there is no home folder of that name; write the whole path") from error


UserPath = Annotated[Path, AfterValidator(expanded)]
"""A path in a profile or an environment variable, which may begin with a tilde."""

_BOOL = "tag:yaml.org,2002:bool"


# The C parser is ten times as fast, and loading the code location depends on it. PyYAML's wheels include it.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads YAML 1.2: ``yes`` and ``no`` are strings, not booleans."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(_BOOL, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


class Document(BaseModel):
    """Base class of YAML documents: unknown keys are errors, and values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DocumentError(ExplainedError, ValueError):
    """A YAML file cannot be used; the message has one ``file:line: key: reason`` per line."""


class MistakeAtKeyError(ValueError):
    """Raised by a validator of a whole document to report a particular key and its line."""

    def __init__(self, key: KeyPath, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def load_document(path: Path, model: type[ModelT]) -> ModelT:
    """Read ``path`` as ``model``.

    Raises:
        DocumentError: the file is missing, is not YAML, repeats a key, or does not fit ``model``.
    """
    return load_document_as(path, lambda content: model)


def load_document_as(path: Path, model_of: Callable[[Mapping[str, Any]], type[ModelT]]) -> ModelT:
    """Like :func:`load_document`, for a model that depends on the content."""
    try:
        text = read_text(path)
    except TextFileError as error:
        raise DocumentError(str(error)) from error
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
        return model_of(content).model_validate(content)
    except ValidationError as error:
        raise DocumentError("\n".join(_describe(path, lines, problem) for problem in error.errors())) from error


def _index_lines(node: yaml.Node, at: KeyPath, lines: dict[KeyPath, int]) -> list[tuple[KeyPath, int]]:
    """Record the line of every key below ``node``; return the repeated keys."""
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
    raised = problem.get("ctx", {}).get("error")
    loc: KeyPath = (*problem["loc"], *(raised.key if isinstance(raised, MistakeAtKeyError) else ()))
    key = _as_written(loc, lines)
    known = key
    while known and known not in lines:
        known = known[:-1]
    reason = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        reason = "is not a known setting"
    return f"{path}:{lines.get(known, 1)}: {_dotted(key) or 'document'}: {reason}"


def _as_written(loc: KeyPath, lines: dict[KeyPath, int]) -> KeyPath:
    """``loc`` without the names of union members, which pydantic inserts and the file does not contain."""
    key: KeyPath = ()
    for number, part in enumerate(loc):
        if (*key, part) in lines or not any((*key, later) in lines for later in loc[number + 1 :]):
            key = (*key, part)
    return key


def _dotted(key: KeyPath) -> str:
    return ".".join(str(part) for part in key)
