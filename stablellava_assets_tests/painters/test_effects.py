import io
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stablellava_assets.painters.embedded.effects import EFFECTS
from stablellava_assets.painters.embedded.lights import LIGHTS
from stablellava_assets_tests.painters.specs import painted, painter, spec


def picture(seed: int = 5, size: int = 144) -> Image.Image:
    (row,) = painted(spec("((giraffe)), park", seed), by=painter(size=size))
    return Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")


def as_read(image: Image.Image) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(image.resize((72, 72), Image.Resampling.BOX), dtype=float)


def test_styles_can_be_told_apart_at_72_pixels() -> None:
    plain = picture()
    shown = {name: as_read(effect(plain, np.random.default_rng(1))) for name, effect in EFFECTS.items()}
    assert len(shown) >= 12
    shown["plain"] = as_read(plain)
    names = sorted(shown)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            assert np.abs(shown[one] - shown[other]).mean() > 8, f"{one} looks like {other}"


@pytest.mark.parametrize("name", EFFECTS)
def test_a_style_is_deterministic_keeps_the_size_and_is_fast(name: str) -> None:
    plain = picture(size=144)
    first = EFFECTS[name](plain, np.random.default_rng(3))
    started = time.process_time()
    second = EFFECTS[name](plain, np.random.default_rng(3))
    assert time.process_time() - started < 0.05
    assert first.tobytes() == second.tobytes()
    assert (first.size, first.mode) == (plain.size, "RGB")


@pytest.mark.parametrize("size", [48, 97])
@pytest.mark.parametrize("name", EFFECTS)
def test_a_style_works_at_other_sizes(name: str, size: int) -> None:
    assert EFFECTS[name](picture(size=size), np.random.default_rng(3)).size == (size, size)


@pytest.mark.parametrize("name", LIGHTS)
def test_light_is_gentle(name: str) -> None:
    plain = picture()
    difference = np.abs(as_read(LIGHTS[name](plain)) - as_read(plain)).mean()
    assert 1 < difference < 45
