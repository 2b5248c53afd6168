"""Prompts for painters, as ``prompt_specs`` rows."""

from __future__ import annotations

from stablellava_assets.abilities.catalog import Catalog, load_catalog
from stablellava_assets.painters.embedded.painter import EmbeddedPainter
from stablellava_assets.painters.settings import EmbeddedPainterSettings
from stablellava_assets.tables.pair_rows import PromptToPaint
from stablellava_assets_tests.tables.made_up import Row

SIZE = 72
CATALOG: Catalog = load_catalog()


def painter(workers: int = 1, size: int = SIZE, catalog: Catalog = CATALOG) -> EmbeddedPainter:
    return EmbeddedPainter(EmbeddedPainterSettings(kind="embedded", size=size, workers=workers), catalog)


def spec(prompt: str, seed: int = 1, spec_id: str = "") -> Row:
    return {
        "spec_id": spec_id or f"{prompt} {seed}",
        "ability": "animal",
        "batch": "0001",
        "prompt": prompt,
        "negative_prompt": "",
        "seed": seed,
    }


def painted(*specs: PromptToPaint, by: EmbeddedPainter | None = None) -> list[Row]:
    """The painted rows, in the order of ``specs``."""
    chosen = by or painter()
    rows = {row["spec_id"]: row for row in chosen.paint(chosen.plan(specs))}
    return [rows[spec["spec_id"]] for spec in specs]
