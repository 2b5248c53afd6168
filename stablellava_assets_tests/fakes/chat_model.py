"""What stands for a chat model on the loopback server: it reads the request as a model
would and answers what is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from stablellava_assets.tables.identity import choose, ranked

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
THINGS = ("kettle", "saddle", "anchor", "violin", "barrel", "pumpkin", "lantern", "heron")
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
    return dict(re.findall(r"^((?:prompt|group)_\d+): (.*)$", question_text(body), flags=re.MULTILINE))


def write(body: Mapping[str, Any]) -> str:
    """A good answer."""
    if schema_of(body)["name"] == "Prompts":
        return json.dumps({key: _prompt(body, key, line) for key, line in prompt_lines(body).items()})
    if schema_of(body)["name"] == "Groups":
        return json.dumps({key: _group(body, key, line) for key, line in prompt_lines(body).items()})
    return json.dumps(_dialogues(body) if schema_of(body)["name"] == "Dialogues" else _group_dialogues(body))


def _prompt(body: Mapping[str, Any], key: str, line: str) -> dict[str, Any]:
    subject = re.split(r"[;(]", line)[0].strip()
    keywords = [choose(words, line, question_text(body)[-400:], key) for words in (PLACES, LOOKS, LIGHTS)]
    properties = schema_of(body)["schema"]["$defs"]
    return {"keywords": keywords} if "WrittenKeywords" in properties else {"subject": subject, "keywords": keywords}


def _resolved(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
    return found


def _group(body: Mapping[str, Any], key: str, line: str) -> dict[str, Any]:
    """What its schema has, in words that differ from image to image."""
    schema = schema_of(body)["schema"]
    things = ranked(THINGS, line)

    def filled(part: Mapping[str, Any], image: int) -> dict[str, Any]:
        words: dict[str, Any] = {}
        for name, each in part["properties"].items():
            if name == "keywords":
                words[name] = [ranked(options, line)[image] for options in (PLACES, LOOKS, LIGHTS)]
            elif name == "subject":
                words[name] = things[-1 - image]
            elif name.startswith("picture_"):
                words[name] = filled(_resolved(schema, each), int(name[-1]))
            else:
                words[name] = things[int(name[-1])]
        return words

    return filled(_resolved(schema, schema["properties"][key]), 0)


def group_prompts(body: Mapping[str, Any]) -> list[str]:
    """The prompts of the group a request is about."""
    about = question_text(body).rpartition("# Pictures")[2]
    return re.findall(r"^Prompt \d+: (.*)$", about, flags=re.MULTILINE)


def _group_dialogues(body: Mapping[str, Any]) -> dict[str, Any]:
    subjects = [str(re.findall(r"\(\((.*?)\)\)", prompt)[0]) for prompt in group_prompts(body)]
    seen = " and ".join(f"a {subject}" for subject in subjects)
    place = re.search(r"right picture: the (\w+)", question_text(body).rpartition("\n")[2])
    answers: dict[str, dict[str, Any]] = {
        "what": {"question": "What do they show?", "answer": f"One sees {seen}.", "right_words": subjects},
        "yes_no_present": {"question": f"Do they show {seen}?", "answer": f"One sees {seen}, so yes."},
        "yes_no_absent": {"question": "Do they show a comet?", "answer": f"One sees {seen}, so no."},
        "either_or": {
            "question": f"Is the first a {subjects[0]} or a comet?",
            "answer": f"One sees {seen}, so it is a {subjects[0]}.",
            "right_words": subjects[0],
        },
        "which": {"question": "Which one is it?", "answer": f"One sees {seen}, so the {place and place[1]}."},
        "misleading": {
            "question": "Is the first a comet or a volcano?",
            "answer": f"Neither, one sees {seen}.",
            "right_words": subjects[0],
        },
    }
    schema = schema_of(body)["schema"]
    written: dict[str, Any] = {}
    for key, part in schema["properties"].items():
        turns = _resolved(schema, part)["properties"]
        form = re.sub(r"_\d+$", "", key)
        written[key] = answers.get(form) or {
            turn: {"question": f"What of {turn[-1]}?", "answer": f"It is {seen}."} for turn in turns
        }
    return written


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
