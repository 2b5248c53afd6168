"""JSON schemas of answers, in the form that endpoints accept."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import BaseModel

_NOT_IN_STRICT = {"minLength", "maxLength", "uniqueItems"}
_SAYS_NOTHING = {"title", "default", "discriminator"}


@lru_cache(maxsize=64)
def json_schema_of(answer: type[BaseModel], *, strict: bool) -> dict[str, Any]:
    """The schema of ``answer``, every field required and no other allowed, as structured output demands.

    ``strict`` leaves out what OpenAI refuses; it is still checked when the answer arrives.
    """
    without = _SAYS_NOTHING | (_NOT_IN_STRICT if strict else set())
    schema: dict[str, object] = _reduced(answer.model_json_schema(), without)
    return schema


def _reduced(node: object, without: set[str]) -> Any:
    if isinstance(node, list):
        return [_reduced(item, without) for item in node]
    if not isinstance(node, dict):
        return node
    reduced: dict[str, Any] = {}
    for key, value in node.items():
        if key in ("properties", "$defs"):
            reduced[key] = {name: _reduced(child, without) for name, child in value.items()}
        elif key not in without:
            reduced["anyOf" if key == "oneOf" else key] = _reduced(value, without)
    if "properties" in reduced:
        reduced["required"] = list(reduced["properties"])
        reduced["additionalProperties"] = False
    return reduced
