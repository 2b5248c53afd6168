"""The embedded painter: a text-to-image function of prompt and seed that composes Twemoji artwork."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypedDict

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.painters.base import FinishedImages, FreePainter, nothing_finished
from stablellava_assets.painters.embedded.lexicon import Lexicon
from stablellava_assets.painters.embedded.painting import Order, PaintingPool
from stablellava_assets.painters.embedded.prompt_reading import UnpaintablePromptError, read_prompt
from stablellava_assets.painters.embedded.scene_plan import ScenePlan
from stablellava_assets.painters.embedded.sprites import artwork_version
from stablellava_assets.painters.provenance import COMPOSED, software
from stablellava_assets.painters.settings import EmbeddedPainterSettings
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.pair_rows import ImageRow, PromptToPaint
from stablellava_assets.tables.rows import PlannedRow
from stablellava_assets.tables.schemas import FAILED, MADE

_VERSION = 4
"""Part of every row key. Increase it when the same plan and seed would give different pixels."""


class _Inputs(TypedDict):
    """Inputs of an image; if ``scene`` is None, ``reason`` says why."""

    spec_id: str
    ability: str
    batch: str
    prompt: str
    seed: int
    scene: ScenePlan | None
    ignored_keywords: list[str]
    reason: str | None


_Planned = PlannedRow[_Inputs]


class EmbeddedPainter(FreePainter):
    """Draws everything in a prompt that is in the catalog's vocabulary; reads only ``prompt`` and ``seed`` of a spec.

    Raises:
        LexiconError: the catalog asks for a sprite or a drawing style that does not exist.
    """

    name = "embedded"
    is_slow = False

    def __init__(self, settings: EmbeddedPainterSettings, catalog: Catalog) -> None:
        self._size = settings.size
        self._lexicon = Lexicon(catalog)
        self._pool = PaintingPool(settings.workers)

    def plan(self, specs: Sequence[PromptToPaint]) -> list[_Planned]:
        """Plan one image per spec. A row's key covers only the artwork that its own prompt uses."""
        return [self._plan(spec) for spec in specs]

    def paint(self, planned: Sequence[_Planned], finished: FinishedImages = nothing_finished) -> Iterable[ImageRow]:
        """Make ``images`` rows; a prompt that cannot be drawn gives a failed row with the reason.

        Raises:
            RuntimeError: an image could not be composed, or a worker process died. The message names the row if known.
        """
        yield from (self._row(row, None) for row in planned if row.inputs["scene"] is None)
        yield from self._paint(row for row in planned if row.inputs["scene"] is not None)

    def _plan(self, spec: PromptToPaint) -> _Planned:
        prompt, seed = spec["prompt"], spec["seed"]
        scene, drawings, ignored, reason = None, [], [], None
        in_group = spec.get("group_id") is not None
        try:
            reading = read_prompt(prompt, self._lexicon)
            scene, drawings, ignored = replace(reading.plan, in_group=in_group), reading.drawings, reading.ignored
        except UnpaintablePromptError as error:
            reason = str(error)
        image_id = content_key("image", spec["spec_id"], self.name)
        drawn = (prompt, seed, _VERSION, self._size, artwork_version(), drawings, ignored, reason)
        row_key = content_key(*drawn, "in a group") if in_group else content_key(*drawn)
        inputs: _Inputs = {
            "spec_id": spec["spec_id"],
            "ability": spec["ability"],
            "batch": spec["batch"],
            "prompt": prompt,
            "seed": seed,
            "scene": scene,
            "ignored_keywords": ignored,
            "reason": reason,
        }
        return PlannedRow(image_id, row_key, inputs)

    def _paint(self, planned: Iterable[_Planned]) -> Iterator[ImageRow]:
        waiting = {row.row_id: row for row in planned}
        orders = [
            Order(row.row_id, scene, row.inputs["seed"], self._size, row.inputs["prompt"])
            for row in waiting.values()
            if (scene := row.inputs["scene"]) is not None
        ]
        for painted in self._pool.paint(orders):
            yield self._row(waiting[painted.order_id], painted.png, painted.perceptual_hash)

    def _row(self, row: _Planned, png: bytes | None, perceptual_hash: str | None = None) -> ImageRow:
        inputs = row.inputs
        return {
            "image_id": row.row_id,
            "spec_id": inputs["spec_id"],
            "ability": inputs["ability"],
            "batch": inputs["batch"],
            "image": None if png is None else {"bytes": png, "path": f"{row.row_id}.png"},
            "width": None if png is None else self._size,
            "height": None if png is None else self._size,
            "software": software(),
            "painter": self.name,
            "model": artwork_version(),
            "steps": None,
            "guidance": None,
            "scheduler": None,
            "negative_prompt": None,
            "seed": inputs["seed"],
            "sha256": None if png is None else hashlib.sha256(png).hexdigest(),
            "perceptual_hash": perceptual_hash,
            "ignored_keywords": inputs["ignored_keywords"],
            "digital_source_type": None if png is None else COMPOSED,
            "cost_usd": None,
            "row_key": row.row_key,
            "status": FAILED if png is None else MADE,
            "reason": inputs["reason"],
        }
