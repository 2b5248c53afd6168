"""Several images per prompt, of which the best becomes the row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from stablellava_assets.defs.images import images
from stablellava_assets.defs.prompt_specs import prompt_specs
from stablellava_assets.defs.resources import resources_of
from stablellava_assets.endpoint.usage import Forecast, Spent
from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.painters.base import FinishedImages, FreePainter, Painter, nothing_finished
from stablellava_assets.painters.best_of import BestOfPainter
from stablellava_assets.profiles.profile import BUILT_IN_PROFILES, load_profile
from stablellava_assets.tables.identity import derive_seed
from stablellava_assets.tables.journal import RowJournal
from stablellava_assets.tables.pair_rows import WrittenSpec
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.rows import AnyPlanned, PlannedRow, Refreshed
from stablellava_assets.tables.schemas import IMAGES, PROMPT_SPECS
from stablellava_assets_tests.fakes.image_server import image_server
from stablellava_assets_tests.fakes.tiny_sdxl import SIZE
from stablellava_assets_tests.painters.checkpoints import painter_of
from stablellava_assets_tests.painters.specs import painter
from stablellava_assets_tests.painters.test_api import PRICE, spending
from stablellava_assets_tests.painters.test_api import painter_of as api_painter
from stablellava_assets_tests.painters.test_provenance import properties
from stablellava_assets_tests.project import Project
from stablellava_assets_tests.tables.made_up import Row, but
from stablellava_assets_tests.tables.refreshing import refresh
from stablellava_assets_tests.tables.rows_of import image, spec

SPECS = [but(spec(number), prompt=f"(({name})), beach") for number, name in enumerate(["elephant", "tiger", "lion"])]


class Likes:
    """Scores a file by a function of its prompt and bytes; without a key it judges nothing."""

    def __init__(self, score: Callable[[WrittenSpec, bytes], float] = lambda spec, file: 0.0, key: str = "a") -> None:
        self.score, self.key = score, key
        self.prepared = 0

    def key_of(self, spec: WrittenSpec) -> str | None:
        return self.key or None

    def prepare(self, specs: Sequence[WrittenSpec]) -> None:
        self.prepared += 1

    def scores(self, images: Sequence[tuple[WrittenSpec, bytes]]) -> list[float]:
        return [self.score(*each) for each in images]


class Told(FreePainter):
    """Makes what it is told to of a prompt and candidate: bytes, or a status; counts what it made."""

    name = "told"

    def __init__(self, **told: Sequence[bytes | str]) -> None:
        self.told = told
        self.made: list[str] = []

    def plan(self, specs: Sequence[Any]) -> list[AnyPlanned]:
        return [PlannedRow(f"image {each['spec_id']}", f"{each['seed']}", each, "tries") for each in specs]

    def paint(self, planned: Sequence[AnyPlanned], finished: FinishedImages = nothing_finished) -> Iterator[Row]:
        for row in planned:
            number = self.made.count(row.row_id)
            self.made.append(row.row_id)
            told = self.told[row.inputs["prompt"]][number]
            made = but(image(number, told if isinstance(told, bytes) else b""), cost_usd=0.25, reason=f"no {number}")
            made |= {"image_id": row.row_id, "row_key": row.row_key, "seed": row.inputs["seed"], "fault": None}
            yield made if isinstance(told, bytes) else but(made, image=None, status=told)

    def forecast(self, planned: Sequence[AnyPlanned]) -> Any:
        return Forecast(Spent(requests=len(planned)), measured=True)


def painted(by: Painter | BestOfPainter, specs: Sequence[Row] = SPECS) -> list[Row]:
    rows = {row["spec_id"]: row for row in by.paint(by.plan(specs))}
    return [rows[each["spec_id"]] for each in specs]


def seeds(each: Row, count: int) -> list[int]:
    return [each["seed"], *(derive_seed(each["seed"], "candidate", number) for number in range(1, count))]


def test_the_best_is_kept_and_the_row_tells_its_seed() -> None:
    alone = {
        seed: row["sha256"]
        for number in range(3)
        for row in painted(painter(), [but(each, seed=seeds(each, 3)[number]) for each in SPECS])
        for seed in [row["seed"]]
    }
    for wanted in range(3):
        liked = {alone[seeds(each, 3)[wanted]] for each in SPECS}
        judge = Likes(lambda _, file: float(but(image(0, file))["sha256"] in liked))  # noqa: B023
        choosing = BestOfPainter(painter(), 3, judge)
        planned, rows = choosing.plan(SPECS), painted(choosing)
        assert [row["seed"] for row in rows] == [seeds(each, 3)[wanted] for each in SPECS]
        assert [row["sha256"] for row in rows] == [alone[seeds(each, 3)[wanted]] for each in SPECS]
        assert [(row["image_id"], row["row_key"]) for row in rows] == [(row.row_id, row.row_key) for row in planned]
        assert [row["image_id"] for row in rows] == [row["image_id"] for row in painted(painter())]


def test_images_of_which_there_is_one_are_the_painters_own() -> None:
    own = painter().plan(SPECS)
    assert BestOfPainter(painter(), 1, Likes()).plan(SPECS) == own
    assert BestOfPainter(painter(), 4, Likes(key="")).plan(SPECS) == own, "nothing to judge them by"
    group = [but(each, group_id="g", image_number=at + 1, seed=5) for at, each in enumerate(SPECS)]
    judge = Likes()
    choosing = BestOfPainter(painter(), 4, judge)
    assert choosing.plan(group) == painter().plan(group)
    assert painted(choosing, group) == painted(painter(), group)
    assert judge.prepared == 0, "no model is loaded for what nobody judges"


def test_the_key_covers_candidates_number_and_judge() -> None:
    keys = [
        BestOfPainter(painter(size=size), count, Likes(key=key)).plan(SPECS[:1])[0].row_key
        for size, count, key in [(72, 2, "a"), (72, 3, "a"), (72, 2, "b"), (80, 2, "a"), (72, 2, "a")]
    ]
    assert len(set(keys)) == 4
    assert keys[0] == keys[-1]


def test_of_candidates_that_fail_wait_or_are_equally_good() -> None:
    told: dict[str, Sequence[bytes | str]] = {
        "equal": [b"1", b"1 too", b"0"],
        "one failed": ["failed", b"0", b"1"],
        "all failed": ["failed"] * 3,
        "one waits": [b"1", "deferred", b"2"],
    }
    specs = [but(spec(number), prompt=name) for number, name in enumerate(told)]
    choosing = BestOfPainter(Told(**told), 3, Likes(lambda _, file: float(file[:1])))
    planned = choosing.plan(specs)
    rows: dict[str, Row] = {row["image_id"]: row for row in choosing.paint(planned)}
    equal, one_failed, all_failed, waits = (rows[row.row_id] for row in planned)
    assert equal["image"]["bytes"] == b"1"
    assert one_failed["image"]["bytes"] == b"1"
    assert (all_failed["status"], all_failed["reason"]) == ("failed", "no 0")
    assert (waits["status"], waits["image"]) == ("deferred", None), "until all can be compared"
    assert {row["cost_usd"] for row in rows.values()} == {0.75}, "what all candidates cost"
    assert choosing.forecast(planned) == Forecast(Spent(requests=12), measured=True)


def test_a_killed_run_goes_on_after_the_rows_it_finished(tmp_path: Path) -> None:
    specs = [but(spec(number), prompt="x") for number in range(150)]
    inner = Told(x=[b"0", b"1", b"2", b"3"])
    choosing = BestOfPainter(inner, 2, Likes(lambda _, file: float(file)))
    planned = choosing.plan(specs)

    def up_to_date(make: Callable[[Sequence[AnyPlanned]], Iterable[Row]]) -> Refreshed:
        with RowJournal(tmp_path, IMAGES, ("animal", "0001")) as journal:
            return refresh(IMAGES, planned, None, journal, make, "run", lambda line: None)

    def die(wanted: Sequence[AnyPlanned]) -> Iterator[Row]:
        for number, row in enumerate(choosing.paint(wanted)):
            if number == 70:
                raise KeyboardInterrupt
            yield row

    with pytest.raises(KeyboardInterrupt):
        up_to_date(die)
    assert len(inner.made) == 2 * 128, "no more is painted ahead than is held"
    assert len(set(inner.made)) == 128
    finished = up_to_date(choosing.paint)
    assert (finished.resumed, finished.computed) == (70, 80)
    assert len(inner.made) == 2 * (128 + 80), "no finished row is painted again"
    assert up_to_date(choosing.paint).computed == 0


def test_a_diffusion_checkpoint_paints_the_candidates(sdxl: Path) -> None:
    specs = [but(each, prompt="((koala)), tree", negative_prompt="") for each in SPECS[:2]]
    second = [but(each, seed=seeds(each, 2)[1]) for each in specs]
    alone = painted(painter_of(sdxl), second)
    liked = {row["image"]["bytes"] for row in alone}
    rows = painted(BestOfPainter(painter_of(sdxl), 2, Likes(lambda _, file: float(file in liked))), specs)
    for row, other in zip(rows, alone, strict=True):
        assert (row["seed"], row["sha256"], row["width"]) == (other["seed"], other["sha256"], SIZE)
        assert properties(row["image"]["bytes"])["{http://purl.org/dc/elements/1.1/}identifier"] == row["spec_id"]


def test_candidates_that_were_paid_for_are_not_paid_for_again(tmp_path: Path) -> None:
    specs = [but(each, prompt=f"(({number})), tree") for number, each in enumerate(SPECS)]

    def paid(budget: float) -> list[Row]:
        api = api_painter(tmp_path, url, endpoint={"budget_usd": budget}, seed_field="seed")
        return painted(BestOfPainter(api, 3, Likes(lambda _, file: float(len(file)))), specs)

    with image_server() as (url, seen):
        assert {row["status"] for row in paid(0.2)} == {"deferred"}, "five of nine were made"
        rows = paid(1)
    assert {row["status"] for row in rows} == {"made"}
    assert sorted(body["seed"] for body in seen.bodies) == sorted(
        seed % 2**31 for each in specs for seed in seeds(each, 3)
    )
    assert {row["seed"] for row in rows} <= {body["seed"] for body in seen.bodies}
    assert [row["cost_usd"] for row in rows] == [pytest.approx(0.12)] * 3
    assert spending(tmp_path) == 9 * PRICE


def test_the_asset_hands_the_facts_of_prompts_to_the_judge_and_a_rerun_paints_nothing(project: Project) -> None:
    workspace, asked = project.workspace, list[str]()

    def subject(spec: WrittenSpec, file: bytes) -> float:
        asked.extend(fact["value"] for fact in spec["facts"] if fact["name"] == "subject")
        return 0.0

    choosing = BestOfPainter(workspace.painter, 2, Likes(subject))
    resources = {**resources_of(workspace), "batch_painter": dg.ResourceDefinition.hardcoded_resource(choosing)}
    for _ in range(2):
        assert dg.materialize([prompt_specs, images], resources=resources, partition_key="animal|0001").success
        written = workspace.store.read(PROMPT_SPECS, ("animal", "0001"))
        assert written is not None
        assert sorted(asked) == sorted(2 * texts_of(written, "subject"))


ALIGNMENT = {"vqa": {"model": "previous", "min_score": 0.5}}
DIFFUSION = {"kind": "diffusion", "model": "x", "repeated_prompts": "once"}


@pytest.mark.parametrize(
    ("changed", "alignment", "told"),
    [
        ({}, None, "painter.best_of: images are chosen by the scores of filters.alignment, which is not set"),
        (DIFFUSION, ALIGNMENT, "repeated_prompts: rows with one prompt would share one image"),
        ({}, ALIGNMENT, None),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    tmp_path: Path, changed: dict[str, Any], alignment: dict[str, Any] | None, told: str | None
) -> None:
    document = yaml.safe_load((BUILT_IN_PROFILES / "embedded.yaml").read_text())
    document["painter"] = {**(changed or document["painter"]), "best_of": {"images": 4}}
    document["filters"] = {**document["filters"], "alignment": alignment}
    profile = tmp_path / "profile.yaml"
    profile.write_text(yaml.safe_dump(document))
    if told is None:
        assert load_profile({"STABLELLAVA_PROFILE": str(profile)}).painter.best_of is not None
    else:
        with pytest.raises(DocumentError, match=told):
            load_profile({"STABLELLAVA_PROFILE": str(profile)})
