"""Tell what a model thought from what it answers, where a server leaves both in one text."""

from __future__ import annotations

import re

_TAGS = "think|thinking|thought|thoughts|reasoning|reflection"
_MARK = re.compile(
    rf"(?P<begin><(?:{_TAGS})\b[^<>]*>|\[THINK\]|<\|START_THINKING\|>|<\|begin_of_thought\|>|◁think▷"
    r"|<\|channel\|>\s*(?:analysis|commentary)\b)"
    rf"|</(?:{_TAGS})\s*>|\[/THINK\]|<\|END_THINKING\|>|<\|end_of_thought\|>|◁/think▷|<\|channel\|>\s*final\b",
    re.IGNORECASE,
)


def answer_beside_thoughts(text: str, *, cut_off: bool = False) -> str:
    """What stands outside a text's thoughts.

    Thoughts may lack their beginning (chat templates write it) or their end (the model forgot it, or was ``cut_off``). Where
    nothing stands outside, they are the answer if they are JSON and nothing else: servers that follow a schema from the first
    token on make models think in it.
    """
    outside, inside, at, thinking = "", "", 0, False
    for mark in _MARK.finditer(text):
        part, at = text[at : mark.start()], mark.end()
        if thinking:
            inside += part
        elif mark["begin"]:
            outside += part
        else:
            inside, outside = inside + outside + part, ""
        thinking = mark["begin"] is not None
    if thinking:
        inside += text[at:]
    else:
        outside += text[at:]
    if outside.strip():
        return outside
    inside = inside.strip()
    return inside if not cut_off and inside.startswith(("{", "```")) and inside.endswith(("}", "```")) else ""
