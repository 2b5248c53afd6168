"""Settings have an effect on every family of pipelines, or are refused before the first picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.painters.base import PainterError
from stablellava_assets_tests.fakes.tiny_qwen import save_qwen_image
from stablellava_assets_tests.fakes.tiny_sdxl import save_sdxl
from stablellava_assets_tests.fakes.tiny_t5 import save_flux, save_schnell
from stablellava_assets_tests.painters.checkpoints import painted_by, painter_of, pixels
from stablellava_assets_tests.painters.specs import spec
from stablellava_assets_tests.tables.made_up import but


@pytest.fixture(scope="module", name="folders")
def _folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("checkpoints")
    saves = {"qwen": save_qwen_image, "flux": save_flux, "schnell": save_schnell, "sdxl": save_sdxl}
    return {name: save(root / name) for name, save in saves.items()}


def painted(folder: Path, negative: str = "", **changes: Any) -> Any:
    (row,) = painted_by(painter_of(folder, **changes), but(spec("koala", 1), negative_prompt=negative))
    assert row["status"] == "made", row["reason"]
    return pixels(row)


@pytest.mark.parametrize("family", ["qwen", "flux", "sdxl"])
def test_more_guidance_gives_another_picture(folders: dict[str, Path], family: str) -> None:
    assert (painted(folders[family], guidance=2.0) != painted(folders[family], guidance=9.0)).any()


def test_a_pipeline_that_calls_guidance_otherwise_is_guided_from_a_negative_prompt(folders: dict[str, Path]) -> None:
    qwen = folders["qwen"]
    assert (painted(qwen, "blurry", guidance=9.0) != painted(qwen, "dark", guidance=9.0)).any()
    assert (painted(qwen, "blurry", guidance=1.0) == painted(qwen, "dark", guidance=1.0)).all()


def test_a_text_that_a_pipeline_would_cut_off_fails_with_its_limit(folders: dict[str, Path]) -> None:
    branches = "tree branch, " * 20
    long, against, short = painted_by(
        painter_of(folders["qwen"], max_prompt_tokens=32),
        spec(branches, 1, "a"),
        but(spec("koala", 1, "b"), negative_prompt=branches),
        spec("koala", 1, "c"),
    )
    for row in (long, against):
        assert row["status"] == "failed"
        assert "of which the text encoder reads 32 (painter.max_prompt_tokens)" in row["reason"]
    assert short["status"] == "made"


@pytest.mark.parametrize(
    ("family", "changes", "said"),
    [
        (
            "schnell",
            {"guidance": 5.0},
            r"painter\.guidance: this FluxPipeline was distilled to do without.*set it to 0",
        ),
        (
            "flux",
            {"negative_prompt": "blurry"},
            r"painter\.negative_prompt has no effect, since FluxPipeline takes none",
        ),
        (
            "sdxl",
            {"negative_prompt": "blurry", "guidance": 1.0},
            r"painter\.negative_prompt .* painter\.guidance is 1;",
        ),
        ("sdxl", {"max_prompt_tokens": 64}, r"painter\.max_prompt_tokens: StableDiffusionXLPipeline .* leave it unset"),
        ("qwen", {"emphasis": 1.3}, r"painter\.emphasis: QwenImagePipeline weighs no words; leave it unset"),
    ],
)
def test_what_would_have_no_effect_is_refused_before_the_first_picture(
    folders: dict[str, Path], family: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(PainterError, match=said):
        painted_by(painter_of(folders[family], **changes), spec("koala", 1))


def test_a_distilled_pipeline_paints_without_guidance(folders: dict[str, Path]) -> None:
    painted(folders["schnell"], guidance=0.0)
