"""Abilities about several images: what their groups share and differ in, and what is asked about them."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stablellava_assets.abilities.catalog import BUILT_IN_ABILITIES, load_catalog
from stablellava_assets.abilities.group_questions import WordedQuestion, benchmark_question, training_dialogues
from stablellava_assets.abilities.groups import Facts, aspects_that_differ, draw_group
from stablellava_assets.abilities.multi_image import ORDINALS
from stablellava_assets.authors.embedded.author import EmbeddedAuthor
from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.painters.embedded.painter import EmbeddedPainter
from stablellava_assets.painters.settings import EmbeddedPainterSettings
from stablellava_assets.tables.pair_rows import PaintedImage, WrittenSpec
from stablellava_assets.tables.reading import was_written
from stablellava_assets.text.conversations import alternate, expected_words, marks_of

CATALOG = load_catalog()
AUTHOR = EmbeddedAuthor()
NAMES = sorted(CATALOG.multi_image)


def groups_of(name: str, count: int = 40) -> list[list[Facts]]:
    """The facts of the images of drawn groups."""
    return [
        [
            {fact["name"]: fact["value"] for fact in prompt["facts"]}
            for prompt in draw_group(CATALOG.multi_image[name], n).prompts
        ]
        for n in range(count)
    ]


def specs_of(name: str, count: int) -> list[WrittenSpec]:
    rows = AUTHOR.write_prompts(AUTHOR.plan_prompts(CATALOG[name], "0001", count))
    return [spec for spec in rows if was_written(spec)]


def painted(specs: list[WrittenSpec]) -> list[tuple[WrittenSpec, PaintedImage]]:
    ids = [spec["spec_id"] for spec in specs]
    return [
        (spec, {"image_id": key, "spec_id": key, "sha256": key, "ignored_keywords": []})
        for spec, key in zip(specs, ids, strict=True)
    ]


def test_a_difference_is_one_fact_and_nothing_else() -> None:
    compared = Counter(frozenset(aspects_that_differ(group)) for group in groups_of("difference", 120))
    assert {*compared} == {frozenset({each}) for each in CATALOG.multi_image["difference"].images.compare}


def test_images_of_a_pair_differ_only_where_their_facts_do() -> None:
    specs = specs_of("difference", 30)
    painter = EmbeddedPainter(EmbeddedPainterSettings(kind="embedded", workers=1), CATALOG)
    pixels = {}
    for row in painter.paint(painter.plan(specs)):
        assert row["image"] is not None, row["reason"]
        assert row["ignored_keywords"] == []
        pixels[row["spec_id"]] = np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB"), int)
    for first, second in zip(specs[::2], specs[1::2], strict=True):
        assert first["seed"] == second["seed"]
        group = [{fact["name"]: fact["value"] for fact in spec["facts"]} for spec in (first, second)]
        changed = np.abs(pixels[first["spec_id"]] - pixels[second["spec_id"]]).max(axis=2) > 8
        assert changed.mean() > 0.01, first["prompt"]
        if aspects_that_differ(group) <= {"subject", "color", "position", "number"}:
            assert changed.mean() < 0.75, (first["prompt"], second["prompt"])
            assert not changed[:8, :8].any()


@pytest.mark.parametrize("name", NAMES)
def test_a_group_is_a_row_for_each_image_in_order(name: str) -> None:
    count = CATALOG.multi_image[name].images.count
    specs = specs_of(name, 5)
    assert len(specs) == 5 * count
    assert [spec.get("image_number") for spec in specs] == [*range(1, count + 1)] * 5
    assert len({spec.get("group_id") for spec in specs}) == 5
    assert specs_of(name, 2) == specs[: 2 * count]


@pytest.mark.parametrize("name", NAMES)
def test_dialogues_mark_every_image_and_none_is_written_without_one(name: str) -> None:
    ability = CATALOG.multi_image[name]
    specs = specs_of(name, 80)
    rows = AUTHOR.write_dialogues(AUTHOR.plan_dialogues(ability, painted(specs)))
    assert len({row["pair_id"] for row in rows}) == len(rows) > 60
    for row in rows:
        assert alternate(row["conversations"])
        assert sum(marks_of(row["conversations"])) == len(row["image_ids"]) == ability.images.count
        answer = row["conversations"][-1]["value"].lower()
        found = -1
        for word in expected_words(row["expected"] or ""):
            found = answer.find(word.lower(), found + 1)
            assert found >= 0, (row["expected"], answer)
    told = Counter(row["expected"] for row in rows if row["expected"] in ("yes", "no"))
    assert 0.4 < told["yes"] / told.total() < 0.6
    missing = specs[0]["spec_id"]
    fewer = AUTHOR.plan_dialogues(ability, painted(specs[1:]))
    assert 0 < len(fewer) < len(rows)
    assert all(missing not in row.inputs["spec_ids"] for row in fewer)


@pytest.mark.parametrize("name", NAMES)
def test_benchmark_questions_use_wordings_of_their_own(name: str) -> None:
    ability = CATALOG.multi_image[name]
    trained, asked = set(), set()
    for number, group in enumerate(groups_of(name)):
        trained |= {_bare(question) for question in training_dialogues(ability, group, number)}
        for kind, present in (("what", None), ("yes_no", True), ("yes_no", False), ("either_or", None)):
            question = benchmark_question(ability, group, kind, number, present=present)  # type: ignore[arg-type]
            if question is not None:
                asked.add(_bare(question))
                assert question.kind == kind
    assert asked
    assert not trained & asked


def test_the_picture_that_is_asked_for_is_named_last() -> None:
    for group in groups_of("odd_one_out"):
        for question in training_dialogues(CATALOG.multi_image["odd_one_out"], group, 1):
            if question.options == ORDINALS[:3]:
                assert re.findall("|".join(ORDINALS), question.answer)[-1] == question.expected
                values = [facts["subject"] for facts in group]
                assert values.count(values[ORDINALS.index(question.expected)]) == 1


def test_a_wrong_answer_is_what_another_image_shows() -> None:
    ability = CATALOG.multi_image["similarity"]
    for group in groups_of("similarity"):
        answers = {ability.subject_named(facts["subject"]).answer for facts in group}
        if len(answers) == 2:
            offered = [each for each in training_dialogues(ability, group, 1) if each.kind == "either_or"]
            assert {*offered[0].options} == answers


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("so {a_candidate} {nth}.", "so the {nth}, not the first."), "no other ordinal"),
        (("[different]", "[one_odd]"), "one_odd needs three images"),
        (("abilities: [animal, ", "abilities: [anima, "), "no single-image ability is named 'anima'"),
        (("the {candidate}?", "the {colour_1}?"), "template .* cannot be filled"),
        (('marks:\n    - "<image>\\n<image>', 'marks:\n    - "<image>'), "needs 2 <image> marks"),
        (("styles: [watercolor", "styles: [watercolour"), "no ability draws the style 'watercolour'"),
        (("compare: [subject, color, scene", "compare: [subject, scene"), "no group suits the question"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    for path in BUILT_IN_ABILITIES.glob("*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (tmp_path / "difference.yaml").read_text()
    assert change[0] in text
    (tmp_path / "difference.yaml").write_text(text.replace(*change))
    with pytest.raises(DocumentError, match=complaint) as refused:
        load_catalog(tmp_path)
    assert "difference.yaml" in str(refused.value)


def _bare(question: WordedQuestion) -> str:
    """The text of a question without its marks."""
    return question.text.rpartition("\n")[2]


_ASPECT = r"[Tt]he (\w+): (.+?) first, (.+?) (first|second)"


def test_a_verdict_follows_from_what_the_answer_says_of_each_image() -> None:
    for group in groups_of("difference", 60):
        by_kind: dict[str, list[WordedQuestion]] = {}
        for question in training_dialogues(CATALOG.multi_image["difference"], group, 1):
            by_kind.setdefault(question.kind, []).append(question)
        (told,) = by_kind["what"]
        *alike, (_, one, other, place) = re.findall(rf"{_ASPECT}(?=[,.])", told.answer)
        assert place == "second"
        assert one != other
        assert all(first == second and where == "first" for _, first, second, where in alike)
        assert told.accepted_groups[0][0] in one
        for claim in by_kind["yes_no"]:
            stated = re.fullmatch(rf"{_ASPECT}, so (yes|no)\.", claim.answer)
            assert stated is not None, claim.answer
            assert (stated[2] != stated[3]) == (stated[4] == "second")
            assert (stated[4] == "second") == (stated[5] == "yes") == (claim.expected == "yes")


def test_the_odd_one_is_what_only_one_image_shows() -> None:
    for group in groups_of("odd_one_out"):
        for question in training_dialogues(CATALOG.multi_image["odd_one_out"], group, 1):
            if question.kind == "either_or":
                named = question.answer.removeprefix("The subject: ").split(", ")
                alone = {"first": named[0], "second": named[1], "third": named[2]}[question.expected]
                assert alone.endswith(f" {question.expected}")
                assert sum(alone.removesuffix(question.expected) in told for told in named[:3]) == 1
                assert named[3] == f"so the {question.expected}."
