"""Published pairs to export."""

from __future__ import annotations

from pathlib import Path

import pytest

from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.filters.pairs import candidate
from stablellava_assets_tests.published_pairs import ANIMALS, animal, publish


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    """Twelve animals with two questions each, one pair about two pictures, one rejected pair, and one plant."""
    asked = [
        candidate(
            f"{name} again",
            spec=f"spec of {name}",
            prompt=f"(({name})), meadow",
            subject=name,
            question="Is it day?\n<image>",
            answer="Yes, the sun is “out”.",
            kind="yes_no",
            expected="yes",
        )
        for name in ANIMALS
    ]
    both = animal(
        "both", spec="spec of koala", prompt="((koala)), meadow", subject="koala", answer="A koala, then an owl."
    )
    both.dialogue["image_ids"] = ["image of spec of koala", "image of spec of owl"]
    both.dialogue["conversations"] = [
        {"from": "human", "value": "<image>\n<image>\nWhat do the two show?"},
        {"from": "gpt", "value": "A koala, then an owl."},
    ]
    pairs = [*(animal(name, spec=f"spec of {name}") for name in ANIMALS), *asked, both, animal("zebra", answer="")]
    publish(tmp_path / "tables", pairs)
    fern = animal("fern")
    fern.dialogue["ability"] = "plant"
    return publish(tmp_path / "tables", [fern], partition=("plant", "0002"))
