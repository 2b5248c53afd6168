from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from stablellava_assets_tests.filters.pairs import candidate, judged, noise_png, png
from stablellava_assets_tests.verdicts import explanations, reasons

FLAT = np.full((24, 24, 3), 200, dtype=np.uint8)


def test_the_spread_is_the_standard_deviation_of_grey() -> None:
    halves = np.zeros((24, 24), dtype=np.uint8)
    halves[:12] = 100
    (row,) = judged(candidate(picture=png(halves)))
    assert row["image_spread"] == pytest.approx(50)
    assert reasons(row) == []


def test_a_blank_picture_is_rejected() -> None:
    (row,) = judged(candidate(picture=png(FLAT)))
    assert reasons(row) == ["blank_image"]
    assert row["image_spread"] == 0


@pytest.mark.parametrize("damaged", [b"", b"not a picture", noise_png("whole")[:200]])
def test_a_picture_that_cannot_be_read_is_rejected(damaged: bytes) -> None:
    (row,) = judged(candidate(picture=damaged))
    assert reasons(row) == ["broken_image"]
    assert row["image_spread"] is None


def test_a_picture_whose_header_claims_more_pixels_than_memory_holds_is_rejected() -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    whole = png(FLAT)
    bomb = whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]
    (row,) = judged(candidate(picture=bomb))
    assert reasons(row) == ["broken_image"]


def test_a_picture_of_another_size_is_rejected() -> None:
    (row,) = judged(candidate(side=64))
    assert reasons(row) == ["broken_image"]
    assert explanations(row) == ["The picture is 24 x 24 pixels; its row says 64 x 64."]


def test_large_pictures_are_judged_as_small_ones_are() -> None:
    large = [candidate(f"large {index}", picture=noise_png(f"large {index}", 160), side=160) for index in range(3)]
    assert all(row["image_spread"] > 30 for row in judged(*large))
