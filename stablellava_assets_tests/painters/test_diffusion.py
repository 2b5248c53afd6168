"""The diffusion painter on a real pipeline of random weights."""

import hashlib
import io
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import imagehash
import pytest
import torch
from PIL import Image

from stablellava_assets.painters.base import PainterError
from stablellava_assets.painters.diffusion.checkpoint import load_pipeline
from stablellava_assets.painters.diffusion.prompt_encoding import PromptEncoder
from stablellava_assets.tables.journal import RowJournal
from stablellava_assets.tables.rows import Refreshed
from stablellava_assets.tables.schemas import IMAGES
from stablellava_assets_tests.fakes.tiny_sdxl import SIZE
from stablellava_assets_tests.painters.checkpoints import (
    Watched,
    largest_difference,
    painted_by,
    painter_of,
    pixels,
    settings_of,
)
from stablellava_assets_tests.painters.specs import spec
from stablellava_assets_tests.painters.test_provenance import IPTC, properties
from stablellava_assets_tests.tables.made_up import but
from stablellava_assets_tests.tables.refreshing import refresh

LONG = "((koala)), " + ", ".join(["tree branch", "soft light", "highly detailed"] * 4)
"""More than 77 tokens for a tokenizer that knows letters only."""


def test_rows_fit_the_table_and_say_what_painted_them(sdxl: Path) -> None:
    (row,) = painted_by(painter_of(sdxl, guidance=4.0), spec("((koala)), tree", 5, "the id"))
    IMAGES.from_rows([but(row, run_id="a run")])
    picture = Image.open(io.BytesIO(row["image"]["bytes"]))
    assert (picture.format, picture.size, picture.mode) == ("PNG", (SIZE, SIZE), "RGB")
    assert (row["width"], row["height"], row["steps"], row["guidance"], row["seed"]) == (SIZE, SIZE, 3, 4.0, 5)
    assert row["scheduler"] == "EulerDiscreteScheduler"
    assert row["sha256"] == hashlib.sha256(row["image"]["bytes"]).hexdigest()
    assert row["perceptual_hash"] == str(imagehash.phash(picture))
    assert row["model"].startswith("tiny-sdxl@")
    said = properties(row["image"]["bytes"])
    assert row["digital_source_type"] == "trainedAlgorithmicMedia"
    assert said[f"{IPTC}DigitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert said[f"{IPTC}AISystemUsed"] == row["model"]
    assert said["{http://ns.adobe.com/xap/1.0/}CreatorTool"] == row["software"]
    assert said["{http://purl.org/dc/elements/1.1/}identifier"] == "the id"


@pytest.mark.parametrize("scheduler", [None, "euler_ancestral", "dpm++_2m_karras"])
def test_a_picture_is_the_same_alone_and_in_a_batch(sdxl: Path, scheduler: str | None) -> None:
    specs = [spec(f"((koala)), tree {number}", number) for number in range(6)]
    specs.insert(2, spec(LONG, 9))
    together = painted_by(painter_of(sdxl, batch_size=4, scheduler=scheduler), *specs)
    by_ones = painter_of(sdxl, batch_size=1, scheduler=scheduler)
    alone = [painted_by(by_ones, each)[0] for each in specs]
    differences = [largest_difference(*pair) for pair in zip(together, alone, strict=True)]
    print(f"largest difference, batches of 4 against 1, {scheduler}: {differences}")
    assert max(differences) <= 1
    again = painted_by(painter_of(sdxl, batch_size=1, scheduler=scheduler), specs[0])
    assert again[0]["sha256"] == alone[0]["sha256"], (
        "on one device, in batches of one size, a picture is repeated exactly"
    )


def test_seeds_and_negative_prompts_give_other_pictures(sdxl: Path) -> None:
    painter = painter_of(sdxl)
    without = but(spec("koala", 1, "b"), negative_prompt="blurry")
    pictures = {row["sha256"] for row in painted_by(painter, spec("koala", 1, "a"), spec("koala", 2, "c"), without)}
    assert len(pictures) == 3


@pytest.mark.parametrize("kind", ["sdxl", "sd"])
def test_a_prompt_without_emphasis_is_encoded_as_the_pipeline_does(kind: str, request: pytest.FixtureRequest) -> None:
    settings = settings_of(request.getfixturevalue(kind))
    pipeline = load_pipeline(settings)
    ours = PromptEncoder(pipeline, settings, "cpu").encode("a koala", "blurry")
    with torch.no_grad():
        theirs = pipeline.encode_prompt(
            prompt="a koala",
            negative_prompt="blurry",
            device="cpu",
            num_images_per_prompt=1,
            do_classifier_free_guidance=True,
        )
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    for name, expected in zip(names, theirs, strict=False):
        torch.testing.assert_close(ours[name], expected, atol=1e-5, rtol=1e-4)


def test_brackets_are_weights_and_never_text(sdxl: Path) -> None:
    def encoded(prompt: str, emphasis: float) -> Any:
        settings = settings_of(sdxl, emphasis=emphasis)
        return PromptEncoder(load_pipeline(settings), settings, "cpu").encode(prompt, "blurry")

    plain, without_weight = encoded("koala, tree", 1.1), encoded("((koala)), tree", 1.0)
    weighted, strong = encoded("((koala)), tree", 1.1), encoded("((koala)), tree", 1.5)
    for name, value in plain.items():
        torch.testing.assert_close(without_weight[name], value)
    difference = [float((each["prompt_embeds"] - plain["prompt_embeds"]).norm()) for each in (weighted, strong)]
    assert 0 < difference[0] < difference[1]
    assert torch.equal(weighted["pooled_prompt_embeds"], plain["pooled_prompt_embeds"])


def test_a_prompt_beyond_77_tokens_is_encoded_whole(sdxl: Path) -> None:
    settings = settings_of(sdxl)
    encoder = PromptEncoder(load_pipeline(settings), settings, "cpu")
    one, other = (encoder.encode(f"{LONG}, {end}", "") for end in ("snow", "rain"))
    assert one["prompt_embeds"].shape[1] > 77
    assert one["prompt_embeds"].shape == one["negative_prompt_embeds"].shape
    assert one["prompt_embeds"].shape[1] % 77 == 0
    assert not torch.equal(one["prompt_embeds"], other["prompt_embeds"])


def test_texts_that_come_again_are_encoded_once(sdxl: Path) -> None:
    calls = []

    def load(settings: Any) -> Any:
        pipeline = load_pipeline(settings)
        pipeline.text_encoder.register_forward_hook(lambda *given: calls.append(1))
        return pipeline

    specs = [but(spec("koala", seed), negative_prompt="blurry") for seed in range(10)]
    painted_by(painter_of(sdxl, load), *specs)
    assert len(calls) == 2


def test_batches_are_halved_when_memory_runs_out_and_stay_so(sdxl: Path) -> None:
    def crowded(seeds: list[int]) -> None:
        if len(seeds) > 2:
            raise torch.OutOfMemoryError(f"no room for {len(seeds)}")

    watched = Watched(before=crowded)
    painter = painter_of(sdxl, watched, batch_size=8)
    rows = painted_by(painter, *(spec("koala", seed) for seed in range(10)))
    assert {row["status"] for row in rows} == {"made"}
    assert [len(seeds) for seeds in watched.batches] == [8, 4, 2, 2, 2, 2, 2]
    painted_by(painter, *(spec("koala", seed) for seed in range(20, 24)))
    assert [len(seeds) for seeds in watched.batches[7:]] == [2, 2]
    whole = painted_by(painter_of(sdxl, batch_size=2), *(spec("koala", seed) for seed in range(10)))
    assert [row["sha256"] for row in rows] == [row["sha256"] for row in whole]


def test_a_later_run_starts_with_what_memory_held_unless_its_settings_are_others(sdxl: Path, tmp_path: Path) -> None:
    def crowded(seeds: list[int]) -> None:
        if len(seeds) > 2:
            raise torch.OutOfMemoryError(f"no room for {len(seeds)}")

    def batches(before: Callable[[list[int]], None], **changes: Any) -> list[int]:
        watched = Watched(before)
        painter = painter_of(sdxl, watched, tmp_path / "data/batch_sizes.json", batch_size=8, **changes)
        assert {row["status"] for row in painted_by(painter, *(spec("koala", seed) for seed in range(8)))} == {"made"}
        return [len(seeds) for seeds in watched.batches]

    assert batches(crowded) == [8, 4, 2, 2, 2, 2]
    assert batches(crowded) == [2, 2, 2, 2]
    assert batches(lambda seeds: None, width=2 * SIZE) == [8]
    for damage in ("{", "[]", '{"a": 0}'):
        (tmp_path / "data/batch_sizes.json").write_text(damage)
        assert batches(crowded) == [8, 4, 2, 2, 2, 2], "a damaged file costs what was learned, and no picture"
        assert batches(crowded) == [2, 2, 2, 2]
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"batch_sizes.json", "batch_sizes.json.lock"}


def test_the_failed_batch_is_out_of_memory_before_the_next_is_painted(sdxl: Path) -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def crowded(seeds: list[int]) -> None:
        if held:
            assert held[0]() is None
            return
        activations = torch.zeros(3)
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("no room beside what is held")

    painted_by(painter_of(sdxl, Watched(crowded), batch_size=4), *(spec("koala", seed) for seed in range(4)))
    assert held


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    ],
)
def test_what_a_library_of_the_gpu_says_of_memory_halves_a_batch_too(sdxl: Path, said: str) -> None:
    def crowded(seeds: list[int]) -> None:
        if len(seeds) > 1:
            raise RuntimeError(said)

    watched = Watched(before=crowded)
    rows = painted_by(painter_of(sdxl, watched, batch_size=2), spec("koala", 1), spec("koala", 2))
    assert {row["status"] for row in rows} == {"made"}
    assert [len(seeds) for seeds in watched.batches] == [2, 1, 1]


def test_memory_for_no_picture_at_all_ends_the_stage(sdxl: Path) -> None:
    def full(seeds: list[int]) -> None:
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(PainterError, match=r"single picture: set painter\.offload"):
        painted_by(painter_of(sdxl, Watched(before=full), batch_size=4), spec("koala"))


def test_memory_for_no_prompt_ends_the_stage(sdxl: Path) -> None:
    def load(settings: Any) -> Any:
        pipeline = load_pipeline(settings)

        def full(*given: Any) -> None:
            raise torch.OutOfMemoryError("no room")

        pipeline.text_encoder.register_forward_pre_hook(full)
        return pipeline

    with pytest.raises(PainterError, match=r"while a prompt was encoded.*painter\.offload"):
        painted_by(painter_of(sdxl, load), spec("koala"))


def test_other_faults_are_not_taken_for_lack_of_memory(sdxl: Path) -> None:
    def broken(seeds: list[int]) -> None:
        raise RuntimeError("expected scalar type Half")

    with pytest.raises(RuntimeError, match="Half"):
        painted_by(painter_of(sdxl, Watched(before=broken), batch_size=4), spec("koala"))


def test_what_no_try_painted_is_tried_again_once_there_are_more_tries(sdxl: Path, tmp_path: Path) -> None:
    def spoil(seeds: list[int], images: Any) -> None:
        for index, seed in enumerate(seeds):
            if seed == 10:
                images[index] = 0.5

    def brought_up_to_date(retries: int, previous: Any) -> Refreshed:
        painter = painter_of(sdxl, Watched(after=spoil), retries=retries)
        planned = painter.plan([spec("koala", 10), spec("koala", 20)])
        with RowJournal(tmp_path, IMAGES, (str(retries), uuid4().hex)) as journal:
            return refresh(IMAGES, planned, previous, journal, painter.paint, "run", lambda line: None)

    first = brought_up_to_date(0, None)
    assert (first.computed, first.failed) == (2, 1)
    again = brought_up_to_date(0, first.data)
    assert (again.computed, again.failed) == (0, 1)
    mended = brought_up_to_date(1, again.data)
    assert (mended.computed, mended.reused, mended.failed) == (1, 1, 0)


def test_a_bad_picture_is_painted_again_with_the_next_seed(sdxl: Path) -> None:
    def spoil(seeds: list[int], images: Any) -> None:
        for index, seed in enumerate(seeds):
            if seed in (10, 11):
                images[index] = 0.5
            if seed in (20, 30, 31, 32):
                images[index, 0, 0, 0] = float("nan")

    watched = Watched(after=spoil)
    rows = painted_by(painter_of(sdxl, watched, batch_size=4), *(spec("koala", seed) for seed in (10, 20, 30, 40)))
    assert [row["status"] for row in rows] == ["made", "made", "failed", "made"]
    assert [row["seed"] for row in rows] == [12, 21, 32, 40]
    assert rows[2]["image"] is rows[2]["digital_source_type"] is None
    assert "NaN" in rows[2]["reason"]
    assert "in 3 tries" in rows[2]["reason"]
    IMAGES.from_rows([but(rows[2], run_id="a run")])
    alone = painted_by(painter_of(sdxl, batch_size=1), spec("koala", 12))
    assert largest_difference(rows[0], alone[0]) <= 1


def test_a_uniform_picture_fails_with_its_spread(sdxl: Path) -> None:
    def blank(seeds: list[int], images: Any) -> None:
        images[:] = 0.25

    (row,) = painted_by(painter_of(sdxl, Watched(after=blank), retries=0), spec("koala"))
    assert row["status"] == "failed"
    assert "uniform: its grey values spread by 0.00" in row["reason"]


def test_what_a_safety_checker_blanks_fails_and_says_so(sd: Path) -> None:
    (row,) = painted_by(painter_of(sd, retries=1), spec("koala"))
    assert row["status"] == "failed"
    assert row["reason"] == "the checkpoint's safety checker blanked the picture, in 2 tries"


def test_repeated_prompts_are_painted_once_if_the_profile_says_so(sdxl: Path) -> None:
    specs = [spec("((koala)), tree", seed, f"id {seed}") for seed in range(5)]
    specs.append({**spec("((koala)), tree", 7, "other"), "negative_prompt": "blurry"})
    watched = Watched()
    rows = painted_by(painter_of(sdxl, watched, repeated_prompts="once"), *specs)
    assert sum(len(seeds) for seeds in watched.batches) == 2
    assert len({row["sha256"] for row in rows}) == 2
    assert len({row["image_id"] for row in rows}) == 6
    told = [properties(row["image"]["bytes"])["{http://purl.org/dc/elements/1.1/}identifier"] for row in rows]
    assert told == ["id 0"] * 5 + ["other"], "the id of a row of that prompt, the first"
    alone = painted_by(painter_of(sdxl, repeated_prompts="once", batch_size=1), specs[3])
    assert largest_difference(alone[0], rows[0]) <= 1, "no row's picture depends on which others share it"


def test_images_of_a_group_keep_their_seed(sdxl: Path) -> None:
    group: list[Any] = [{**spec(f"(({name})), tree", 7), "group_id": "group"} for name in ("koala", "owl", "koala")]
    planned = painter_of(sdxl, repeated_prompts="once").plan(group)
    assert {row.inputs["seed"] for row in planned} == {7}


def test_finished_pictures_are_handed_out_before_the_last_is_painted(sdxl: Path) -> None:
    watched = Watched()
    painter = painter_of(sdxl, watched, batch_size=2)
    painting = iter(painter.paint(painter.plan([spec("koala", seed) for seed in range(20)])))
    next(painting)
    assert len(watched.batches) < 5
    assert len(list(painting)) == 19


def test_pictures_are_encoded_and_written_while_the_next_are_painted(sdxl: Path) -> None:
    written = threading.Event()

    def wait(seeds: list[int]) -> None:
        if seeds != [0]:
            assert written.wait(60), "the first picture is not handed out before the second is finished"

    painter = painter_of(sdxl, Watched(wait), batch_size=1)
    painting = iter(painter.paint(painter.plan([spec("koala", seed) for seed in range(3)])))
    next(painting)
    written.set()
    assert len(list(painting)) == 2


@pytest.mark.parametrize("guidance", [0.0, 1.0])
def test_without_guidance_there_is_no_negative_prompt(sdxl: Path, guidance: float) -> None:
    painter = painter_of(sdxl, guidance=guidance)
    plain, against = painted_by(painter, spec("koala", 1, "a"), but(spec("koala", 1, "b"), negative_prompt="blurry"))
    assert plain["sha256"] is not None
    assert (pixels(plain) == pixels(against)).all()


def test_a_compiled_denoiser_paints_the_same(sdxl: Path) -> None:
    compiled = []

    def load(settings: Any) -> Any:
        pipeline = load_pipeline(settings)
        blocks = [block for block in pipeline.unet.modules() if type(block).__name__ == "BasicTransformerBlock"]
        compiled.append({block._compiled_call_impl is not None for block in blocks})
        return pipeline

    # What the compiler is for needs one of C++; that the denoiser's blocks are handed to it, and works then, does not.
    with torch.compiler.set_stance("force_eager"):
        (row,) = painted_by(painter_of(sdxl, load, compile=True), spec("koala", 3))
    (plain,) = painted_by(painter_of(sdxl, load), spec("koala", 3))
    assert compiled == [{True}, {False}]
    assert largest_difference(row, plain) <= 1
    assert row["row_key"] == plain["row_key"]


def test_the_picture_depends_on_the_prompt(sdxl: Path) -> None:
    one, other = painted_by(painter_of(sdxl, guidance=9.0), spec("koala", 3), spec("red car on a road", 3))
    assert (pixels(one) != pixels(other)).any()
