"""What stands for a chat model on the loopback server: it reads the request as a model
would and answers what is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from stablellava_assets.tables.identity import choose

MODEL = "loopback-model"
"""What profiles and price files call it."""

PLACES = (
    "mossy bank",
    "old bridge",
    "sandy cove",
    "stone yard",
    "reed bed",
    "wooden pier",
    "snowy slope",
    "brick wall",
)
LOOKS = ("wet", "dusty", "spotted", "folded", "glossy", "rough", "curled", "pale", "striped", "worn")
LIGHTS = ("morning light", "overcast", "backlit", "evening sun", "soft shade", "noon light")


def question_text(body: Mapping[str, Any]) -> str:
    """The text of the question, a picture apart."""
    content = body["messages"][1]["content"]
    return content if isinstance(content, str) else content[0]["text"]


def schema_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = body["response_format"]["json_schema"]
    return schema


def prompt_lines(body: Mapping[str, Any]) -> dict[str, str]:
    """What each prompt is to be about, by its key."""
    return dict(re.findall(r"^(prompt_\d+): (.*)$", question_text(body), flags=re.MULTILINE))


def write(body: Mapping[str, Any]) -> str:
    """A good answer."""
    if schema_of(body)["name"] == "Prompts":
        return json.dumps({key: _prompt(body, key, line) for key, line in prompt_lines(body).items()})
    return json.dumps(_dialogues(body))


def _prompt(body: Mapping[str, Any], key: str, line: str) -> dict[str, Any]:
    subject = re.split(r"[;(]", line)[0].strip()
    keywords = [choose(words, line, question_text(body)[-400:], key) for words in (PLACES, LOOKS, LIGHTS)]
    properties = schema_of(body)["schema"]["$defs"]
    return {"keywords": keywords} if "WrittenKeywords" in properties else {"subject": subject, "keywords": keywords}


def picture_prompt(body: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Subject and keywords of the picture a request is about."""
    about = question_text(body).rpartition("# Picture")[2]
    found = re.search(r"^Prompt: \(\((.*?)\)\)(.*)$", about, flags=re.MULTILINE)
    assert found, about
    return found[1], [keyword for keyword in found[2].split(", ") if keyword]


def _dialogues(body: Mapping[str, Any]) -> dict[str, Any]:
    subject, keywords = picture_prompt(body)
    about = question_text(body).rpartition("# Picture")[2]
    known = re.search(r"is here: (.*)", about)
    right = known[1] if known else subject
    absent = re.search(r"is wanted: (.*)", about)
    other, another = absent[1].split(", ")[:2] if absent else ("", "")
    seen = ", ".join(keywords[:3])
    answers: dict[str, dict[str, Any]] = {
        "describe": {"answer": f"There is {subject} here, with {seen}."},
        "what": {"question": "What is the main thing here?", "answer": f"It is {right}.", "right_words": right},
        "yes_no_present": {"question": f"Is this {right}?", "answer": f"It is {right}, so yes."},
        "yes_no_absent": {"question": f"Is there {other}?", "answer": f"It is {right}, so no."},
        "either_or": {"question": f"Is it {other} or {right}?", "answer": f"It is {right}.", "right_words": right},
        "misleading": {
            "question": f"Is it {other} or {another}?",
            "answer": f"Neither, it is {right}.",
            "right_words": right,
        },
        "negative_presupposition": {
            "question": f"What lies behind the {other}?",
            "answer": f"There is no {other} here.",
        },
        "multi_turn": {
            "turns": [
                {"question": "What is it?", "answer": f"It is {right}, {subject}."},
                {"question": "Where is it?", "answer": f"Here: {seen}."},
                {"question": "Is anything else to be seen?", "answer": "Nothing that draws the eye."},
            ]
        },
    }
    wanted = schema_of(body)["schema"]["properties"]
    return {key: answers[re.sub(r"_\d+$", "", key)] for key in wanted}
