"""``images`` rows of painters that use a model: the diffusion and the api painter."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from stablellava_assets.painters.provenance import GENERATED, Provenance, software, xmp_packet
from stablellava_assets.painters.signing import PictureSigner
from stablellava_assets.pictures.encoding import encode_png, perceptual_hash, picture_suffix
from stablellava_assets.tables.pair_rows import ImageRow, PromptToPaint
from stablellava_assets.tables.rows import PlannedRow
from stablellava_assets.tables.schemas import FAILED, MADE

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Painted:
    """An encoded image, and the suffix of its format."""

    encoded: bytes
    suffix: str
    width: int
    height: int
    perceptual_hash: str


def finish(picture: Image.Image, provenance: Provenance, signer: PictureSigner | None = None) -> Painted:
    """Encode an image with its provenance, and sign it if there is a signer."""
    png = encode_png(picture, xmp_packet(provenance))
    if signer is not None:
        png = signer.sign(png, provenance)
    return Painted(png, "png", *picture.size, perceptual_hash(picture))


def as_sent(encoded: bytes, picture: Image.Image) -> Painted:
    """The original file of an image, whose decoded form is ``picture``."""
    return Painted(encoded, picture_suffix(encoded), *picture.size, perceptual_hash(picture))


def image_row(
    row: PlannedRow[PromptToPaint],
    painted: Painted | None,
    *,
    painter: str,
    model: str,
    seed: int | None,
    steps: int | None = None,
    guidance: float | None = None,
    scheduler: str | None = None,
    negative_prompt: str | None = None,
    cost_usd: Decimal | None = None,
    status: str | None = None,
    reason: str | None = None,
    fault: str | None = None,
) -> ImageRow:
    """The row of an image. Without an image it is failed, unless ``status`` says otherwise."""
    return {
        "image_id": row.row_id,
        "spec_id": row.inputs["spec_id"],
        "ability": row.inputs["ability"],
        "batch": row.inputs["batch"],
        "image": None if painted is None else {"bytes": painted.encoded, "path": f"{row.row_id}.{painted.suffix}"},
        "width": None if painted is None else painted.width,
        "height": None if painted is None else painted.height,
        "software": software(),
        "painter": painter,
        "model": model,
        "steps": steps,
        "guidance": guidance,
        "scheduler": scheduler,
        "negative_prompt": negative_prompt,
        "seed": seed,
        "sha256": None if painted is None else hashlib.sha256(painted.encoded).hexdigest(),
        "perceptual_hash": None if painted is None else painted.perceptual_hash,
        "ignored_keywords": [],
        "digital_source_type": None if painted is None else GENERATED,
        "cost_usd": None if cost_usd is None else float(cost_usd),
        "row_key": row.row_key,
        "status": status or (FAILED if painted is None else MADE),
        "reason": reason,
        "fault": fault,
    }
