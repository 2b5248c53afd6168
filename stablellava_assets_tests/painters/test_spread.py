"""Several workers paint one partition."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.painters.base import FinishedImages, FreePainter, PainterError, nothing_finished
from stablellava_assets.painters.diffusion.painter import DiffusionPainter
from stablellava_assets.painters.spread import SpreadPainter, Workers
from stablellava_assets.tables.pair_rows import PromptToPaint
from stablellava_assets.tables.rows import AnyPlanned, PlannedRow
from stablellava_assets_tests.painters.checkpoints import settings_of
from stablellava_assets_tests.tables.made_up import but
from stablellava_assets_tests.tables.rows_of import spec


class Reporting(FreePainter):
    """Makes no images; each row tells who was to make it."""

    name = "reporting"

    def plan(self, specs: Sequence[PromptToPaint]) -> list[AnyPlanned]:
        return [PlannedRow(each["spec_id"], "key", each, "settings") for each in specs]

    def paint(self, planned: Sequence[AnyPlanned], finished: FinishedImages = nothing_finished) -> Iterable[Any]:
        for row in planned:
            if row.inputs["prompt"] == "die":
                os._exit(1)
            if row.inputs["prompt"] == "refuse":
                raise PainterError("refused")
            yield {"spec_id": row.row_id, "process": os.getpid(), "gpu": os.environ.get("CUDA_VISIBLE_DEVICES")}


def prompts(count: int, text: str = "a cat") -> list[Any]:
    return [but(spec(number), prompt=f"{text} {number // 2}") for number in range(count)]


def spread(workers: Workers) -> SpreadPainter:
    # Pairs of rows share an image.
    return SpreadPainter(Reporting(), Reporting, workers, lambda row: row.inputs["prompt"])


def test_one_worker_is_this_process() -> None:
    several: tuple[Workers, ...] = (1, "auto")
    for workers in several:
        painter = spread(workers)
        rows: list[Any] = list(painter.paint(painter.plan(prompts(4))))
        assert {row["process"] for row in rows} == {os.getpid()}, "there is no GPU, or only one"


def test_each_process_has_its_gpu_and_rows_that_share_an_image_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    painter = spread(2)
    specs = prompts(40)
    for _ in range(2):
        rows: list[Any] = list(painter.paint(painter.plan(specs)))
        assert sorted(row["spec_id"] for row in rows) == sorted(each["spec_id"] for each in specs)
        assert {row["gpu"] for row in rows} == {"3", "5"}
        assert len({row["process"] for row in rows}) == 2
        by_prompt = {each["spec_id"]: each["prompt"] for each in specs}
        makers = {(by_prompt[row["spec_id"]], row["process"]) for row in rows}
        assert set(Counter(prompt for prompt, _ in makers).values()) == {1}


def test_errors_of_workers_are_those_of_the_painter() -> None:
    painter = spread(2)
    refused = [*prompts(6), but(spec(6), prompt="refuse")]
    with pytest.raises(PainterError, match=r"^refused$"):
        list(painter.paint(painter.plan(refused)))
    died = spread(2)
    with pytest.raises(PainterError, match=r"a painting worker process died .* painter\.workers"):
        list(died.paint(died.plan([*prompts(2), but(spec(6), prompt="die")])))


def test_ray_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    painter = spread("ray")
    with pytest.raises(PainterError, match=r"painter\.workers: ray needs .*'stablellava-assets\[ray\]'"):
        list(painter.paint(painter.plan(prompts(2))))


def test_who_paints_is_in_no_key(sdxl: Path) -> None:
    settings = (settings_of(sdxl, workers=workers) for workers in ("auto", 2))
    alone, together = (DiffusionPainter(each, sdxl / "none") for each in settings)
    assert [row.row_key for row in alone.plan(prompts(2))] == [row.row_key for row in together.plan(prompts(2))]
