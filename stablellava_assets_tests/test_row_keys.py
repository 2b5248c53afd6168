"""Row ids and keys are what they were, so that nobody's data is made anew because code moved.

Where a key has to change, because other rows come of the same settings, record the new ones:
RECORD_OUTCOMES=1 python -m pytest stablellava_assets_tests/test_row_keys.py
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.authors.chat.author import ChatAuthor
from stablellava_assets.authors.embedded.author import EmbeddedAuthor
from stablellava_assets.authors.settings import ChatAuthorSettings
from stablellava_assets.evaluation.benchmark import plan_items
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprints
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.painters.api.painter import ApiPainter
from stablellava_assets.painters.embedded.painter import EmbeddedPainter
from stablellava_assets.painters.settings import ApiPainterSettings, EmbeddedPainterSettings
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.pair_rows import PaintedImage, WrittenSpec
from stablellava_assets.tables.reading import was_written
from stablellava_assets.tables.rows import AnyPlanned
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.filters.pairs import candidate, judge

RECORDED = Path(__file__).parent / "outcomes/row_keys.json"
ENDPOINT = {"base_url": "http://localhost:8000/v1", "model": "a-model", "api_key_variable": None}


def digest(rows: Sequence[AnyPlanned]) -> str:
    assert rows
    return content_key([(row.row_id, row.row_key) for row in rows])


def planned(folder: Path) -> Iterator[tuple[str, str]]:
    """A digest of the planned rows of each stage and of each way to make them."""
    catalog = load_catalog()
    embedded = EmbeddedAuthor()
    painter = EmbeddedPainter(EmbeddedPainterSettings(kind="embedded"), catalog)
    images = ApiPainter(ApiPainterSettings.model_validate({"kind": "api", "endpoint": ENDPOINT}), folder / "images")
    chat_settings = ChatAuthorSettings.model_validate({"kind": "chat", "endpoint": ENDPOINT})
    chat = ChatAuthor(chat_settings, ParquetStore(str(folder / "tables")), folder / "chat")
    for name, ability in catalog.single.items():
        prompts = embedded.plan_prompts(ability, "0001", 20)
        yield f"{name}: prompts", digest(prompts)
        specs = [spec for spec in embedded.write_prompts(prompts) if was_written(spec)]
        plan = painter.plan(specs)
        yield f"{name}: images", digest(plan)
        yield f"{name}: images of an endpoint", digest(images.plan(specs))
        yield f"{name}: benchmark items", digest(plan_items(ability, 5, painter))
        painted: list[tuple[WrittenSpec, PaintedImage]] = [
            (spec, {"image_id": row.row_id, "spec_id": spec["spec_id"], "sha256": "0", "ignored_keywords": ignored})
            for spec, row in zip(specs, plan, strict=True)
            for ignored in [row.inputs["ignored_keywords"]]
        ]
        yield f"{name}: dialogues", digest(embedded.plan_dialogues(ability, painted))
        yield f"{name}: prompts of a chat model", digest(chat.plan_prompts(ability, "0001", 20))
        yield f"{name}: dialogues of a chat model", digest(chat.plan_dialogues(ability, painted))
    verdicts = judge([candidate("one"), candidate("two")], [], BenchmarkFingerprints([], 2), FilterSettings()).rows
    yield "verdicts", content_key([row["row_key"] for row in verdicts])


def test_row_ids_and_keys_are_what_they_were(tmp_path: Path) -> None:
    found = dict(planned(tmp_path))
    if "RECORD_OUTCOMES" in os.environ:
        RECORDED.write_text(json.dumps(found, indent=1) + "\n")
    recorded = json.loads(RECORDED.read_text())
    changed = [name for name in recorded if found.get(name) != recorded[name]]
    assert not changed, f"these rows would be made anew everywhere: {changed}"
    assert found.keys() == recorded.keys()
