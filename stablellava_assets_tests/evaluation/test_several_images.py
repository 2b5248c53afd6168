"""Questions about several images: how they are asked, what is right, and their controls."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from transformers import AutoProcessor, GenerationMixin, LlavaProcessor

from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.checks.ability_benchmark import SUITE
from stablellava_assets.checks.gates import GateSettings, validate
from stablellava_assets.cli.main import main
from stablellava_assets.evaluation.answers.answer_rows import plan_answers
from stablellava_assets.evaluation.answers.controls import shown_to
from stablellava_assets.evaluation.answers.generation import ImageQuestion, InvalidQuestionError, answer
from stablellava_assets.evaluation.answers.pictures import ItemPicture
from stablellava_assets.evaluation.benchmark import make_items, plan_items
from stablellava_assets.evaluation.guessing import AskedText, guess_surplus
from stablellava_assets.evaluation.kinds import ASKED_KINDS, BLANKED, BLIND, EXCHANGED, SWAPPED
from stablellava_assets.evaluation.ordinals import said_as
from stablellava_assets.evaluation.scoreboard import scoreboard
from stablellava_assets.evaluation.scores.scoring import is_correct, score_answers
from stablellava_assets.painters.base import FinishedImages, FreePainter, nothing_finished
from stablellava_assets.report.plots import scores_chart
from stablellava_assets.tables.pair_rows import ImageRow, PromptToPaint
from stablellava_assets.tables.rows import AnyPlanned, PlannedRow
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK
from stablellava_assets_tests.evaluation.answers import answers
from stablellava_assets_tests.fakes.tuning_checkpoints import save_llava
from stablellava_assets_tests.tables.made_up import Row
from stablellava_assets_tests.tuning.tiny import COLORS, picture, turns

CATALOG = load_catalog()
BOTH = "<image>\n<image>\nWhat color is each?"
CHECKPOINT: Row = {"checkpoint_id": "c", "base_path": "models/base", "path": "models/tuned"}


@pytest.fixture(name="checkpoint", scope="module")
def _checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llava(tmp_path_factory.mktemp("llava") / "checkpoint")


def asked_of(question: str, *colors: str, history: tuple[str, ...] = ()) -> ImageQuestion:
    first, *further = map(picture, colors)
    return ImageQuestion(first, question, further_images=tuple(further), history=tuple(turns(*history)))


def test_every_image_reaches_the_model_at_its_mark(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, list[int]]] = []
    processor = AutoProcessor.from_pretrained(checkpoint)

    def generate(self: object, input_ids: torch.Tensor, pixel_values: torch.Tensor, **rest: object) -> torch.Tensor:
        reds = [round(float(red)) for red in pixel_values[:, 0].mean(dim=(1, 2))]
        for text in processor.batch_decode(input_ids):
            count = text.count("<image>") // 4
            asked.append((text.replace("<image>" * 4, "#").replace("<pad>", "").replace(" \n", "\n"), reds[:count]))
            reds = reds[count:]
        return input_ids

    monkeypatch.setattr(GenerationMixin, "generate", generate)
    questions = [
        asked_of(BOTH, "red", "blue"),
        asked_of(BOTH, "blue", "red"),
        asked_of("What color is it?", "red"),
        asked_of("<image>\nAnd now?", "red", "blue", history=("<image>\nIs it?", "It is red.")),
    ]
    answer(checkpoint, questions, 8, 8, print)
    red, blue = 2, -2
    assert sorted(asked) == sorted(
        [
            ("<s> USER: #\n#\nWhat color is each? ASSISTANT:", [red, blue]),
            ("<s> USER: #\n#\nWhat color is each? ASSISTANT:", [blue, red]),
            ("<s> USER: #\nWhat color is it? ASSISTANT:", [red]),
            ("<s> USER: #\nIs it? ASSISTANT: It is red. USER: #\nAnd now? ASSISTANT:", [red, blue]),
        ]
    )


@pytest.mark.parametrize(
    ("question", "colors", "history"),
    [
        ("What differs?", ("red", "blue"), ()),
        ("<image>\nWhat differs?", ("red", "blue"), ()),
        (BOTH, ("red",), ()),
        ("And now?", ("red",), ("Is it?", "It is red.")),
    ],
)
def test_images_without_a_mark_and_marks_without_an_image_are_refused(
    checkpoint: Path, question: str, colors: tuple[str, ...], history: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidQuestionError, match=r"question 0 has .* write one mark for each picture"):
        answer(checkpoint, [asked_of(question, *colors, history=history)], 1, 2, print)


@pytest.mark.parametrize(
    ("text", "in_order", "right"),
    [
        ("A lion, then a tiger.", True, True),
        ("A tiger, then a lion.", True, False),
        ("A tiger, then a lion.", False, True),
        ("Two lions.", True, False),
        ("A big cat and no tiger.", True, False),
        ("A big cat and a tiger.", True, True),
    ],
)
def test_each_group_must_be_named_and_in_order_where_order_matters(text: str, in_order: bool, right: bool) -> None:
    groups = [["lion", "big cat"], ["tiger"]]
    assert is_correct(text, groups[0], [], "what", groups=groups, in_order=in_order) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("A lion and a tiger: the first shows a lion.", True),
        ("A lion and a tiger: the first shows a tiger.", False),
        ("A lion.", True),
        ("A zebra.", False),
        ("It shows no lion.", False),
    ],
)
def test_the_option_named_last_is_the_answer(text: str, right: bool) -> None:
    assert is_correct(text, ["lion"], ["tiger"], "either_or", several_images=True) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("The second.", True),
        ("Picture 2.", True),
        ("It is the 2nd one.", True),
        ("image two", True),
        ("2", True),
        ("The first.", False),
        ("Picture 1.", False),
        ("In picture 1 there are 2.", False),
    ],
)
def test_a_picture_is_named_by_its_place_in_several_ways(text: str, right: bool) -> None:
    accepted, refused = said_as(["second"], alone=True), said_as(["first"], alone=False)
    assert said_as(["lion"], alone=True) == ["lion"]
    assert is_correct(text, accepted, refused, "either_or", several_images=False) is right


def _item(number: int, marks: int) -> Row:
    return {
        "item_id": f"item {number}",
        "benchmark": "ai",
        "ability": "difference" if marks > 1 else "color",
        "question_kind": "what",
        "question": BOTH if marks > 1 else "What color is it?",
        "options": [],
        "accepted": ["red"],
        "refused": [],
        "accepted_groups": [["red"], ["blue"]] if marks > 1 else None,
        "in_order": marks > 1 or None,
        "history": None,
    }


def _pictures(*colors: str) -> list[ItemPicture]:
    return [ItemPicture(color, (), picture(color)) for color in colors]


def test_controls_are_asked_of_the_tuned_model() -> None:
    items = [_item(number, 2) for number in range(20)] + [_item(20, 1)]
    pictures = {item["item_id"]: _pictures(*COLORS[: item["question"].count("<image>") or 1]) for item in items}
    planned = plan_answers(CHECKPOINT, items, pictures, 8, None, controlled=ASKED_KINDS)
    models = [row.inputs.columns["model"] for row in planned]
    asked = {model: models.count(model) for model in models}
    # A single item about one image has no other image to be swapped with.
    assert asked == {"base": 21, "tuned": 21, BLIND: 21, BLANKED: 20, EXCHANGED: 20}
    assert {
        row.inputs.columns["model"] for row in plan_answers(CHECKPOINT, items, pictures, 8, None, controlled=())
    } == {
        "base",
        "tuned",
    }
    assert len({row.row_id for row in planned}) == len(planned)
    by_key = {(row.inputs.columns["model"], row.inputs.columns["item_id"]): row for row in planned}
    one, blanked, exchanged = (by_key[model, "item 0"] for model in ("tuned", BLANKED, EXCHANGED))
    assert len({one.row_key, blanked.row_key, exchanged.row_key}) == 3
    assert exchanged.inputs.asked.images == tuple(reversed(one.inputs.asked.images))
    assert one.inputs.columns["accepted_groups"] == [["red"], ["blue"]]
    assert one.inputs.columns["picture"] == blanked.inputs.columns["picture"] == exchanged.inputs.columns["picture"]


def test_one_image_is_swapped_for_that_of_another_item_of_its_ability() -> None:
    items = [_item(number, 1) for number in range(6)] + [{**_item(6, 1), "ability": "alone"}]
    pictures = {item["item_id"]: _pictures(COLORS[number % 3]) for number, item in enumerate(items)}
    planned = plan_answers(CHECKPOINT, items, pictures, 8, None, controlled=ASKED_KINDS)
    shown = {(row.inputs.columns["model"], row.inputs.columns["item_id"]): row.inputs.asked.images for row in planned}
    swapped = {item_id: images for (model, item_id), images in shown.items() if model == SWAPPED}
    assert len(swapped) == 6
    assert all(images != shown["tuned", item_id] for item_id, images in swapped.items())
    assert set(swapped.values()) <= {shown["tuned", f"item {number}"] for number in range(6)}
    blank = {row.row_key for row in planned if row.inputs.columns["model"] == BLIND}
    assert not blank & {row.row_key for row in planned if row.inputs.columns["model"] != BLIND}


def test_each_place_is_blanked_equally_often_with_grey_of_the_same_size() -> None:
    places = []
    for number in range(60):
        shown = shown_to(BLANKED, f"item {number}", _pictures("red", "blue", "lime"), {})
        (place,) = (at for at, each in enumerate(shown) if callable(each.encoded))
        places.append(place)
    assert min(map(places.count, range(3))) > 10
    blank = next(each.encoded for each in shown if callable(each.encoded))
    with Image.open(io.BytesIO(blank())) as grey:
        assert (grey.size, grey.getcolors()) == ((32, 32), [(32 * 32, (128, 128, 128))])


def controlled() -> list[Row]:
    """Answers about single images and about several, with their controls."""
    rows = answers("0011", "1111", "animal") + answers("0001", "1110", "difference")
    for row in list(rows):
        if row["model"] == "tuned":
            rows.append({**row, "model": BLIND, "correct": row["ability"] == "animal"})
        if (row["model"], row["ability"]) == ("tuned", "difference"):
            rows += [{**row, "model": model, "correct": model == BLANKED} for model in (BLANKED, EXCHANGED)]
    return rows


def test_controls_are_scored_by_kind_and_those_of_several_images_are_in_no_total() -> None:
    scores = {(row["model"], row["ability"], row["question_kind"]): row for row in score_answers(controlled())}
    assert scores[BLANKED, "difference", "what"]["accuracy"] == scores[BLANKED, "difference", "all"]["accuracy"] == 1.0
    assert scores[EXCHANGED, "difference", "all"]["n"] == 4
    assert scores[EXCHANGED, "difference", "all"]["verdict"] is None
    assert scores["tuned", "all", "all"]["n"] == 8
    assert scores[BLIND, "all", "all"]["accuracy"] == 0.5
    assert not [key for key in scores if key[0] in (BLANKED, EXCHANGED) and key[1] == "all"]


def test_the_table_shows_controls_and_charts_leave_them_out() -> None:
    scores = score_answers(controlled())
    shown = scoreboard(scores, markdown=True)
    assert "| other images | model | n | accuracy | what |" in shown
    assert "| all abilities | blind | 8 | 0.500 | 0.500 |" in shown
    assert "| difference | tuned | 4 | 0.750 | 0.750 |" in shown
    assert "| difference | blanked | 4 | 1.000 | 1.000 |" in shown
    assert "other images" not in scoreboard(score_answers(answers("0", "1", "animal")), markdown=True)
    models = [row for row in scores if row["model"] in ("base", "tuned")]
    assert scores_chart(scores) == scores_chart(models)


def test_a_guess_from_the_text_is_measured_against_chance() -> None:
    fair = [AskedText("yes_no", f"Do both show {COLORS[at % 4]}?", (), ("yes", "no")[at // 4 % 2]) for at in range(48)]
    assert (guess_surplus(fair) or 0) < 0.1
    worded = [AskedText("yes_no", f"{('Is', 'Might')[at % 2]} it so?", (), ("yes", "no")[at % 2]) for at in range(48)]
    assert (guess_surplus(worded) or 0) > 0.3
    always = [AskedText("either_or", f"Which, {at}?", ("first", "second"), "second") for at in range(48)]
    assert (guess_surplus(fair + always) or 0) > 0.3
    offered = [
        AskedText("either_or", "Which?", ("red", other)[:: 1 if at % 2 else -1], "red")
        for at, other in enumerate(COLORS[1:] * 16)
    ]
    assert (guess_surplus(offered) or 0) > 0.3
    named = [AskedText("what", "What differs?", (), f"{at} {at + 1}") for at in range(48)]
    assert (guess_surplus(named) or 0) < 0.1
    assert guess_surplus([]) is None


class Painter(FreePainter):
    """Paints what it is told in reverse order, but for prompts of which it says that they cannot be."""

    name = "reversed"

    def __init__(self, failing: str = "nothing") -> None:
        self._failing = failing

    def plan(self, specs: Sequence[PromptToPaint]) -> list[AnyPlanned]:
        return [PlannedRow(f"image of {spec['spec_id']}", spec["prompt"], spec) for spec in specs]

    def paint(self, planned: Sequence[AnyPlanned], finished: FinishedImages = nothing_finished) -> Iterable[ImageRow]:
        for row in reversed(planned):
            spec = row.inputs
            fails = self._failing in spec["prompt"]
            made: Row = {
                "spec_id": spec["spec_id"],
                "image": None if fails else {"bytes": spec["prompt"].encode(), "path": None},
                "sha256": None if fails else str(spec["seed"]),
                "perceptual_hash": None if fails else str(spec["image_number"]),
                "status": "failed" if fails else "made",
                "reason": "cannot be painted" if fails else None,
            }
            yield made


@pytest.mark.parametrize("name", CATALOG.multi_image)
def test_items_of_every_ability_are_balanced_and_not_told_by_their_text(name: str) -> None:
    ability = CATALOG.multi_image[name]
    items = list(make_items(plan_items(ability, 50, Painter()), Painter()))
    assert {item["status"] for item in items} == {"made"}
    for item in items:
        shown = [turn["value"] for turn in item["history"] or ()] + [item["question"]]
        assert sum(text.count("<image>") for text in shown) == ability.images.count
        assert len(item["further_images"] or ()) == ability.images.count - 1
        assert item["image"] is not None
        images = [item["image"], *(item["further_images"] or ())]
        assert "\n".join(image["bytes"].decode() for image in images) == item["prompt"], "in order"
        assert item["further_perceptual_hashes"] == [str(number) for number in range(2, ability.images.count + 1)]
    for kind in ("yes_no", "either_or"):
        asked = [item for item in items if item["question_kind"] == kind]
        places = Counter(item["options"].index(item["accepted"][0]) for item in asked if item["options"])
        answered = Counter(item["accepted"][0] for item in asked)
        assert max(places.values(), default=0) - min(places.values(), default=0) <= 4, places
        assert kind != "yes_no" or answered == {"yes": 25, "no": 25}
    data = ABILITY_BENCHMARK.from_rows([{**item, "run_id": "run"} for item in items])
    results = {result.gate: result for result in validate(SUITE, data, GateSettings())}
    assert results["text_alone_does_not_tell"].passed
    assert all(result.passed for result in results.values()), results


def test_an_item_of_which_an_image_is_missing_is_not_made() -> None:
    ability = CATALOG.multi_image["odd_one_out"]
    planned = plan_items(ability, 4, Painter())
    word = planned[0].inputs.question["prompt"].splitlines()[1]
    items = {item["item_id"]: item for item in make_items(planned, Painter(failing=word))}
    unmade = items[planned[0].row_id]
    assert (unmade["status"], unmade["reason"], unmade["image"]) == ("failed", "cannot be painted", None)
    assert unmade["further_images"] is None
    assert len(items) == len(planned)


def test_a_benchmark_that_its_wording_tells_is_refused() -> None:
    items = list(make_items(plan_items(CATALOG.multi_image["similarity"], 50, Painter()), Painter()))
    for item in items:
        if item["accepted"] == ["yes"]:
            item["question"] = f"Surely? {item['question']}"
    data = ABILITY_BENCHMARK.from_rows([{**item, "run_id": "run"} for item in items])
    failed = [result for result in validate(SUITE, data, GateSettings()) if not result.passed]
    assert [result.gate for result in failed] == ["text_alone_does_not_tell"]
    assert not [each for each in validate(SUITE, data, GateSettings(max_guess_surplus=0.5)) if not each.passed]


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> list[str]:
    for color in ("red", "blue"):
        (tmp_path / f"{color}.png").write_bytes(picture(color))
    return [str(tmp_path / f"{color}.png") for color in ("red", "blue")]


def test_ask_takes_several_pictures_and_places_them(
    checkpoint: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def noted(self: LlavaProcessor, **inputs: Any) -> Any:
        asked.extend(inputs["text"])
        return call(self, **inputs)

    call = LlavaProcessor.__call__
    monkeypatch.setattr(LlavaProcessor, "__call__", noted)
    rest = ["--checkpoint", str(checkpoint), "--max-new-tokens", "2"]
    options = ["--image", files[0], "--image", files[1]]
    for words in (
        [*files, "What differs?"],
        ["What differs?", *options],
        [files[0], "<image>\n<image>\nWhat differs?", "--image", files[1]],
    ):
        done = CliRunner().invoke(main, ["ask", *words, *rest])
        assert (done.exit_code, done.stderr) == (0, "") or "Writing" in done.stderr, done.output
    assert asked == ["USER: <image>\n<image>\nWhat differs? ASSISTANT:"] * 3


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            ("RED", "BLUE", "<image> Is it?"),
            "holds 1 <image> marks and there are 2 pictures; write one for each, or none",
        ),
        (("RED", "<image><image> Is it?"), "holds 2 <image> marks and there are 1 pictures"),
        (("Is it?",), "name a picture, before the question or with --image"),
    ],
)
def test_ask_refuses_other_numbers_of_marks_in_one_sentence(
    files: list[str], words: tuple[str, ...], complaint: str
) -> None:
    named = dict(zip(("RED", "BLUE"), files, strict=True))
    done = CliRunner().invoke(main, ["ask", *(named.get(word, word) for word in words)])
    assert done.exit_code == 1
    assert complaint in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
