"""A mistake in an ability's YAML is refused with file, line, key and reason, before anything is spent on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.inputs.yaml_documents import DocumentError

SHAPES = """\
ability: shapes
group: others
title: Shapes
teaches: Name the shape.
negative_prompt: text
chat:
  instruction: Write prompts about one shape.
  cautions: [One shape a prompt.]
  keywords: [circle, square, star, heart, diamond]
  examples:
    - ((circle)), white wall
    - ((square)), white wall
    - ((star)), white wall
    - ((heart)), white wall
    - ((diamond)), white wall
  dialogue_instruction: Name the shape.
  dialogue_examples:
    - {prompt: "((star)), white wall", question: What is it?, answer: A star.}
    - {prompt: "((heart)), white wall", question: What is it?, answer: A heart.}
prompts:
  scenes: [meadow]
subjects:
  - {name: circle, sprites: [🔵]}
  - {name: heart, sprites: [💙]}
questions:
  what: {ask: ["What shape is it?"], answer: ["It is {a_subject}."]}
  yes_no: {ask: ["Is it {a_candidate}?"], "yes": ["Yes, it is {a_subject}."], "no": ["No, it is {a_subject}."]}
  either_or: {ask: ["Is it {a_first} or {a_second}?"], answer: ["It is {a_subject}."]}
benchmark:
  what: ["Which shape?"]
  yes_no: ["Would you say {a_candidate}?"]
  either_or: ["Rather {a_first} or {a_second}?"]
"""
MEADOWS = SHAPES.replace("ability: shapes", "ability: meadows").replace("  scenes: [meadow]", "  scenes: []").replace(
    "  - {name: circle, sprites: [🔵]}\n  - {name: heart, sprites: [💙]}\n",
    "  - {name: meadow, backdrop: {sky: ['#aaccff', '#ffffff'], ground: ['#88cc66', '#448822'], props: [🌾]}}\n"
    "  - {name: moor, backdrop: {sky: ['#8899aa', '#dddddd'], ground: ['#776655', '#443322']}}\n",
)  # fmt: skip


def _refusal(folder: Path, **files: str) -> str:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError) as refused:
        load_catalog(folder)
    return str(refused.value)


def _edited(old: str, new: str, text: str = SHAPES) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def _line_of(part: str, text: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_the_files_the_mistakes_are_made_in_are_right(tmp_path: Path) -> None:
    (tmp_path / "shapes.yaml").write_text(SHAPES, encoding="utf-8")
    (tmp_path / "meadows.yaml").write_text(MEADOWS, encoding="utf-8")
    assert load_catalog(tmp_path).single["shapes"].answers == ["circle", "heart"]


@pytest.mark.parametrize(
    ("old", "new", "at", "key", "reason"),
    [
        ("title: Shapes", "title: Shapes\ntittle: Shapes", "tittle", "tittle", "not a known setting"),
        ("teaches: Name the shape.\n", "", "ability:", "teaches", "Field required"),
        ("title: Shapes", "title: Shapes\ntitle: Forms", "title: Forms", "title", "given twice"),
        ("{name: heart, ", "{name: heart, colour: blue, ", "colour", "subjects.1.colour", "not a known setting"),
        ("{name: heart, sprites: [💙]}", "{name: heart}", "heart}", "subjects.1", "needs exactly one of sprites"),
        ("((heart)), white wall\n    - ((d", "heart, wall\n    - ((d", "examples:", "chat.examples", "not of the form"),
        (
            "What shape is it?",
            "What shape is {a_candidate}?",
            "{a_candidate}?",
            "questions.what.ask.0",
            "uses ['a_candidate']",
        ),
        (
            "Which shape?",
            "What shape is it?",
            'what: ["What shape is it?"]',
            "benchmark.what.0",
            "also a training question",
        ),
        ("name: heart", "name: Circle", "ability:", "document", "subjects named twice: circle"),
        ("group: others", "group: shapes", "group:", "group", "Input should be"),
    ],
)  # fmt: skip
def test_a_mistake_is_placed(tmp_path: Path, old: str, new: str, at: str, key: str, reason: str) -> None:
    text = _edited(old, new)
    message = _refusal(tmp_path, shapes=text, meadows=MEADOWS)
    assert message.startswith(f"{tmp_path / 'shapes.yaml'}:{_line_of(at, text)}: {key}: ")
    assert reason in message


def test_a_file_is_named_as_its_ability(tmp_path: Path) -> None:
    message = _refusal(tmp_path, forms=SHAPES, meadows=MEADOWS)
    assert message == f"{tmp_path / 'forms.yaml'}:1: ability: is 'shapes', but the file is named 'forms'"


def test_a_scene_must_be_drawn_somewhere(tmp_path: Path) -> None:
    message = _refusal(tmp_path, shapes=SHAPES)
    assert message == f"{tmp_path / 'shapes.yaml'}: prompts.scenes: no ability draws the scene 'meadow'"


def test_a_scene_must_not_show_what_is_asked_about(tmp_path: Path) -> None:
    message = _refusal(tmp_path, shapes=SHAPES, meadows=_edited("props: [🌾]", "props: [💙]", MEADOWS))
    assert "shapes.yaml: prompts.scenes: 'meadow' shows 💙" in message


def test_a_phrase_is_drawn_in_one_way(tmp_path: Path) -> None:
    tokens = _edited("sprites: [💙]", "sprites: [❤️]").replace("ability: shapes", "ability: tokens")
    message = _refusal(tmp_path, shapes=SHAPES, tokens=tokens, meadows=MEADOWS)
    assert (
        message == f"{tmp_path / 'tokens.yaml'}: subjects: 'heart' is drawn differently in {tmp_path / 'shapes.yaml'}"
    )


def test_an_empty_folder_is_no_catalog(tmp_path: Path) -> None:
    assert _refusal(tmp_path) == f"{tmp_path}: holds no ability (*.yaml)"
