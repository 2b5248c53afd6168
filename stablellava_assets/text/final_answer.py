"""Extracts the final answer from a model's output, without reasoning and formatting around it."""

from __future__ import annotations

import re
import unicodedata

_THOUGHTS = r"think(?:ing)?|thought|reasoning|reason|analysis|scratchpad"
_OPENS = rf"(?:<(?:{_THOUGHTS})>|◁think▷|\[THINK\])"
_CLOSES = rf"(?:</(?:{_THOUGHTS})>|◁/think▷|\[/THINK\])"
_WHOLE_THOUGHT = re.compile(rf"{_OPENS}.*?{_CLOSES}", re.IGNORECASE | re.DOTALL)
# Servers and chat templates often omit the opening mark.
_REST_OF_THOUGHT = re.compile(rf"\A.*{_CLOSES}", re.IGNORECASE | re.DOTALL)
_UNFINISHED_THOUGHT = re.compile(rf"{_OPENS}.*\Z", re.IGNORECASE | re.DOTALL)
_FRAMES = (
    re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.IGNORECASE | re.DOTALL),
    re.compile(r"<\|begin_of_box\|>(.*?)(?:<\|end_of_box\|>|\Z)", re.DOTALL),
)
# Control tokens that some servers leave in the text: <|im_end|>, <|eot_id|>, </s>, <end_of_turn>.
_CONTROL = re.compile(
    r"<\|(?!(?:begin|end)_of_box\|>)\w+\|>|</?s>|<(?:bos|eos|pad|(?:start|end)_of_turn|end_of_utterance)>"
)
# {"answer": "B"}, in JSON or Python syntax, alone or in a fence.
_JSON_ANSWER = re.compile(
    r"""\A\s*(?:```\w*\s*)?\{.*?(["'])(?:(?:final|correct|selected|chosen)[ _]?)?(?:answer|choice|option)\1\s*:\s*"""
    r"""(["'])((?:\\.|(?!\2).)*)\2\s*[,}]""",
    re.IGNORECASE | re.DOTALL,
)
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u2060\ufeff"))
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_FORMATTED = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|operatorname)\s*\{([^{}]*)\}")


def normalized(text: str) -> str:
    """Text in NFKC form: composed accents, and ordinary forms of full-width characters.

    Soft hyphens and other invisible joiners are removed.
    """
    return unicodedata.normalize("NFKC", text).translate(_UNSEEN)


def final_answer(text: str) -> str:
    """The normalized answer: the text after a reasoning model's thoughts, and inside its answer format if it uses one.

    Formats are ``<answer>``, ``\\boxed{}``, GLM's box and a JSON object's key ``answer``; the last non-empty one
    counts. Thoughts that were cut off before an answer give an empty text. Tokens of chat templates are removed.
    """
    answer = _WHOLE_THOUGHT.sub("", text)
    answer = _REST_OF_THOUGHT.sub("", answer)
    answer = normalized(_UNFINISHED_THOUGHT.sub("", answer))
    answer = _CONTROL.sub("", answer)
    if (written := _JSON_ANSWER.match(answer)) and written[3].strip():
        answer = written[3]
    for frame in _FRAMES:
        if framed := [inner for inner in frame.findall(answer) if inner.strip()]:
            answer = framed[-1]
    if boxed := [inner for found in _BOXED.finditer(answer) if (inner := _braced(answer, found.end())).strip()]:
        answer = boxed[-1]
    return _FORMATTED.sub(r"\1", answer)


def _braced(text: str, start: int) -> str:
    """The text from ``start`` to the brace that closes the one before it."""
    depth = 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    return text[start:]
