"""A folder in the form of StableLLaVA's published files, with invented rows that have the published files' defects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

QUESTIONS = ("<image>\nWhat do you see?", "Say in a sentence what this is.\n<image>")
Rows = list[dict[str, str]]

EXPECTED = {
    "action.json": {"rows": 13, "unique_prompts": 13, "not_verbatim": 6, "off_subject": 1, "cut_off_prompts": 1},
    "animal.json": {"rows": 24, "unique_prompts": 12, "not_verbatim": 0, "off_subject": 0, "repeated_pairs": 8},
    "color.json": {
        "rows": 12,
        "unique_prompts": 12,
        "not_verbatim": 12,
        "not_without_hyphens": 4,
        "not_by_lemma": 0,
        "off_subject": 0,
    },
    "food.json": {"rows": 9, "unbalanced_brackets": 4, "cut_off_prompts": 4, "unusable": 1},
    "furniture.json": {
        "rows": 12,
        "subjects": 4,
        "subjects_ignoring_case": 2,
        "hedged": 6,
        "stray_spaces": 2,
        "no_full_stop": 2,
    },
}
"""What a report on the invented folder says."""

PUBLISHED = {
    "action.json": {"rows": 3195, "unique_prompts": 3195, "subjects_ignoring_case": 96, "not_verbatim": 475},
    "animal.json": {"rows": 10_000, "unique_prompts": 2645, "subjects_ignoring_case": 51, "not_verbatim": 0},
    "color.json": {
        "rows": 1983,
        "unique_prompts": 947,
        "subjects_ignoring_case": 319,
        "not_verbatim": 1942,
        "not_without_hyphens": 148,
        "off_subject": 0,
    },
    "food.json": {
        "rows": 2738,
        "unique_prompts": 2386,
        "subjects_ignoring_case": 102,
        "not_verbatim": 0,
        "unbalanced_brackets": 28,
    },
    "furniture.json": {
        "rows": 12_000,
        "unique_prompts": 1558,
        "subjects": 112,
        "subjects_ignoring_case": 70,
        "not_verbatim": 14,
        "hedged": 7606,
    },
}
"""What was counted, by other means, in five of the files StableLLaVA published."""


def write_released(folder: Path) -> None:
    """Write the invented files."""
    files = {"action": _action(), "animal": _animal(), "color": _color(), "food": _food(), "furniture": _furniture()}
    for ability, pairs in files.items():
        rows = [
            {
                "id": str(number),
                "image": f"{ability}/{number}.jpg",
                "prompt": prompt,
                "question": QUESTIONS[number % 2],
                "answer": answer,
            }
            for number, (prompt, answer) in enumerate(pairs)
        ]
        (folder / f"{ability}.json").write_text(json.dumps(rows))


def _action() -> Iterator[tuple[str, str]]:
    for number, style in enumerate(["8k", "4k", "soft light", "glowing", "dreamy", "vibrant"]):
        yield f"((yodelling)), man, hilltop, {style}", f"Man number {number} is yodelling."
    yield "((sweeping floors)), woman, 8k", "A woman is sweeping the floors of a hall."
    yield "((diver)), pier, 8k", "Someone dives from a pier."
    yield "((ironing shirts)), boy, 8k", "A boy irons his shirts."
    yield "((talking)), men, 8k", "Two men are deep in conversation."
    yield "((doing a cartwheel)), girl, 8k", "A girl performs a cartwheel."
    yield "((yodelling)), man, valley, dre", "A man is yodelling in a valley."
    yield "((whittling)), man, porch, 8k", "An empty porch in the evening."


def _animal() -> Iterator[tuple[str, str]]:
    prompts = [
        f"(({animal})), {place}, realistic, 8k"
        for animal, place in product(["Otter", "Heron", "Newt"], ["pond", "ditch", "weir", "marsh"])
    ]
    for prompt in prompts:
        yield prompt, f"One {prompt[2:-2].split(')')[0].lower()} waits, {len(prompt)} inches from the bank."
    for number, prompt in enumerate(prompts):
        animal = prompt[2:].split(")")[0].lower()
        repeated = f"One {animal} waits, {len(prompt)} inches from the bank."
        yield prompt, repeated if number % 3 else f"Look {number} times: the {animal} is there."


def _color() -> Iterator[tuple[str, str]]:
    flowers = {"Teal-aster": "asters", "Ochre-daisy": "daisies", "Mauve-iris": "irises", "Lime-cactus": "cacti"}
    for (subject, plural), place in product(flowers.items(), ["yard", "path", "wall"]):
        color, flower = subject.lower().split("-")
        named = f"a {color} {flower}" if place == "yard" else f"some {color} {plural}"
        yield f"(({subject})), {place}, 8k", f"By the {place}, {named} can be seen."


def _food() -> Iterator[tuple[str, str]]:
    yield "((Leek Tart)), plate, 8k)", "A leek tart on a plate."
    yield "((Plum Jam)), jar, 4k\n", "Plum jam in a jar."
    yield "((Plum Jam)), spoon, 4k", "Plum jam on a spoon."
    yield "((Leek", "Leek is what this is about."
    yield "((Leek and Tur", "Leek and Tur on a plate."
    yield "((", "A plate."
    yield "((Rye Bread)), board,", "Rye bread on a board."
    yield "((Rye Bread)), basket, 8k", "Rye Bread in a basket."
    yield "((Rye Bread)), cloth, 8k.", "Rye bread on a cloth."


def _furniture() -> Iterator[tuple[str, str]]:
    for number, name in enumerate(["Pew", "pew", "Hat Stand", "hat stand"] * 3):
        text = f"Seen here: {name.lower()} {number}, possibly of oak." if number % 2 else f"{name} {number} of oak."
        text = f" {text}" if number in (0, 5) else text
        yield f"(({name})), hall, oak, light {number}, 8k", text.removesuffix(".") if number in (2, 7) else text
