"""What a model says in the end: its answer without the thoughts before it, and out of the frame that it puts around it."""

from __future__ import annotations

import re
import unicodedata

_THOUGHTS = r"think(?:ing)?|thought|reasoning|reason|analysis|scratchpad"
_OPENS = rf"(?:<(?:{_THOUGHTS})>|◁think▷|\[THINK\])"
_CLOSES = rf"(?:</(?:{_THOUGHTS})>|◁/think▷|\[/THINK\])"
_WHOLE_THOUGHT = re.compile(rf"{_OPENS}.*?{_CLOSES}", re.IGNORECASE | re.DOTALL)
# Servers and chat templates often keep the first mark to themselves.
_REST_OF_THOUGHT = re.compile(rf"\A.*{_CLOSES}", re.IGNORECASE | re.DOTALL)
_UNFINISHED_THOUGHT = re.compile(rf"{_OPENS}.*\Z", re.IGNORECASE | re.DOTALL)
_FRAMES = (
    re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.IGNORECASE | re.DOTALL),
    re.compile(r"<\|begin_of_box\|>(.*?)(?:<\|end_of_box\|>|\Z)", re.DOTALL),
)
# Of chat templates, which some servers leave in the text: <|im_end|>, <|eot_id|>, </s>, <end_of_turn>.
_CONTROL = re.compile(
    r"<\|(?!(?:begin|end)_of_box\|>)\w+\|>|</?s>|<(?:bos|eos|pad|(?:start|end)_of_turn|end_of_utterance)>"
)
# {"answer": "B"}, as JSON or as Python writes it, alone or in a fence.
_JSON_ANSWER = re.compile(
    r"""\A\s*(?:```\w*\s*)?\{.*?(["'])(?:(?:final|correct|selected|chosen)[ _]?)?(?:answer|choice|option)\1\s*:\s*"""
    r"""(["'])((?:\\.|(?!\2).)*)\2\s*[,}]""",
    re.IGNORECASE | re.DOTALL,
)
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u2060\ufeff"))
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_FORMATTED = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|operatorname)\s*\{([^{}]*)\}")


def normalized(text: str) -> str:
    """Text whose letters have one form each (NFKC): accents joined to theirs, full-width signs and letters as the usual ones.

    Soft hyphens and other signs that join what is around them and show nothing are left out.
    """
    return unicodedata.normalize("NFKC", text).translate(_UNSEEN)


def final_answer(text: str) -> str:
    """The answer itself, normalized: what stands behind a reasoning model's thoughts and, where it frames its answer, in the frame.

    Frames are ``<answer>``, ``\\boxed{}``, GLM's box and a JSON object's key ``answer``; of several, the last that holds something.
    Thoughts that were cut off before an answer leave nothing, and tokens of chat templates are no part of an answer.
    """
    said = _WHOLE_THOUGHT.sub("", text)
    said = _REST_OF_THOUGHT.sub("", said)
    said = normalized(_UNFINISHED_THOUGHT.sub("", said))
    said = _CONTROL.sub("", said)
    if (written := _JSON_ANSWER.match(said)) and written[3].strip():
        said = written[3]
    for frame in _FRAMES:
        if framed := [inner for inner in frame.findall(said) if inner.strip()]:
            said = framed[-1]
    if boxed := [inner for found in _BOXED.finditer(said) if (inner := _braced(said, found.end())).strip()]:
        said = boxed[-1]
    return _FORMATTED.sub(r"\1", said)


def _braced(text: str, start: int) -> str:
    """What stands from ``start`` to the brace that closes the one before it."""
    depth = 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    return text[start:]
