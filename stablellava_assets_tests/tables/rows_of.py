"""Small rows of real tables, for tests of what stores and refreshes them."""

from __future__ import annotations

from hashlib import sha256

from stablellava_assets.authors.base import NOT_ASKED
from stablellava_assets.tables.identity import content_key, derive_seed
from stablellava_assets.tables.schemas import MADE
from stablellava_assets_tests.tables.made_up import Row


def spec(index: int, *, ability: str = "animal", prompt: str = "((koala)), forest", status: str = MADE) -> Row:
    """A complete ``prompt_specs`` row but for ``run_id``."""
    spec_id = content_key(ability, index)
    return {
        "spec_id": spec_id,
        "ability": ability,
        "batch": "0001",
        "prompt": prompt,
        "negative_prompt": "blurry",
        "subject": "koala",
        "keywords": ["forest"],
        "facts": [{"name": "subject", "value": "koala"}],
        "seed": derive_seed(spec_id),
        "author": "test",
        "template_version": "1",
        **NOT_ASKED,
        "row_key": content_key(spec_id, prompt),
        "status": status,
        "reason": None if status == MADE else "the endpoint was down",
    }


def image(index: int, encoded: bytes) -> Row:
    """A complete ``images`` row but for ``run_id``, of whatever bytes."""
    image_id = content_key("image", index)
    return {
        "image_id": image_id,
        "spec_id": content_key("animal", index),
        "ability": "animal",
        "batch": "0001",
        "image": {"bytes": encoded, "path": f"{image_id}.png"},
        "width": 64,
        "height": 64,
        "sha256": sha256(encoded).hexdigest(),
        "perceptual_hash": f"{index:016x}",
        "painter": "test",
        "model": None,
        "cost_usd": None,
        "steps": None,
        "guidance": None,
        "scheduler": None,
        "seed": index,
        "software": None,
        "digital_source_type": None,
        "ignored_keywords": [],
        "negative_prompt": None,
        "row_key": content_key(image_id),
        "status": MADE,
        "reason": None,
        "fault": None,
        "settings_key": None,
    }
