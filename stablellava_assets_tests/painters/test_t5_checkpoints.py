"""Checkpoints that read prompts with T5: weights and no brackets, and nothing that T5 would cut off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stablellava_assets_tests.fakes.tiny_t5 import save_flux, save_sd3
from stablellava_assets_tests.painters.checkpoints import largest_difference, painted_by, painter_of, pixels
from stablellava_assets_tests.painters.specs import spec
from stablellava_assets_tests.tables.made_up import but


@pytest.fixture(scope="module", params=[save_flux, save_sd3], ids=["flux", "sd3"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    save: Callable[[Path], Path] = request.param
    return save(tmp_path_factory.mktemp("checkpoints") / save.__name__.removeprefix("save_"))


def test_a_picture_is_the_same_alone_and_in_a_batch(checkpoint: Path) -> None:
    specs = [spec(f"((koala)), tree {number}", number) for number in range(3)]
    together = painted_by(painter_of(checkpoint, batch_size=3), *specs)
    assert {row["status"] for row in together} == {"made"}
    by_ones = painter_of(checkpoint, batch_size=1)
    alone = [painted_by(by_ones, each)[0] for each in specs]
    assert max(largest_difference(*pair) for pair in zip(together, alone, strict=True)) <= 1


def test_brackets_are_weights_and_never_text(checkpoint: Path) -> None:
    (plain,) = painted_by(painter_of(checkpoint), spec("koala, tree", 1))
    (without_weight,) = painted_by(painter_of(checkpoint, emphasis=1.0), spec("((koala)), tree", 1))
    (weighted,) = painted_by(painter_of(checkpoint, emphasis=2.0), spec("((koala)), tree", 1))
    assert (pixels(plain) == pixels(without_weight)).all()
    assert (pixels(plain) != pixels(weighted)).any()


def test_a_prompt_that_would_be_cut_off_fails_and_the_others_are_painted(checkpoint: Path) -> None:
    long, short = painted_by(
        painter_of(checkpoint, max_prompt_tokens=48), spec("((koala)), " + "tree branch, " * 9), spec("koala")
    )
    assert long["status"] == "failed"
    assert "of which the text encoder reads 48 (painter.max_prompt_tokens)" in long["reason"]
    assert short["status"] == "made"


def test_only_stable_diffusion_3_takes_a_negative_prompt(checkpoint: Path) -> None:
    painter = painter_of(checkpoint)
    without, against = painted_by(painter, spec("koala", 1, "a"), but(spec("koala", 1, "b"), negative_prompt="blurry"))
    assert (pixels(without) == pixels(against)).all() == (checkpoint.name == "flux")
