"""One function makes RGB of whatever a picture's file holds, so that models, hashes and people see the same."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from stablellava_assets.filters.rules.image_rules import read_picture
from stablellava_assets.gallery.thumbnails import thumbnail
from stablellava_assets.pictures.contact_sheet import contact_sheet
from stablellava_assets.pictures.decoding import UndecodablePictureError, in_rgb, rendered_otherwise, upright
from stablellava_assets.pictures.encoding import perceptual_hash
from stablellava_assets.pictures.thumbnails import small_picture
from stablellava_assets.tuning.pretrained.pictures import broken_pictures, load_picture, picture_size
from stablellava_assets_tests.tables.made_up import Row

Grey = np.ndarray[Any, Any]


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def grey_values() -> Grey:
    """A bright disc on a ramp, 0 to 255."""
    y, x = np.mgrid[0:48, 0:64]
    values = x * 3 + 60 * ((x - 30) ** 2 + (y - 24) ** 2 < 200)
    scaled: Grey = np.clip(values * 255 / values.max(), 0, 255).round()
    return scaled


def pixels(picture: Image.Image) -> Grey:
    return np.asarray(picture.convert("RGB")).astype(int)


def expected() -> Grey:
    return np.repeat(grey_values().astype(int)[..., None], 3, axis=2)


DEEP: dict[str, Callable[[], bytes]] = {
    "8 bits": lambda: encoded(Image.fromarray(grey_values().astype(np.uint8))),
    "16 bits": lambda: encoded(Image.fromarray((grey_values() * 257).astype(np.uint16))),
    "16 bits, big-endian": lambda: encoded(Image.fromarray((grey_values() * 257).astype(">u2")), "TIFF"),
    "12 bits in 16": lambda: encoded(Image.fromarray((grey_values() * 4095 / 255).round().astype(np.uint16))),
    "32 bits": lambda: encoded(Image.fromarray((grey_values() * 257).astype(np.int32)), "TIFF"),
    "8 bits in 32": lambda: encoded(Image.fromarray(grey_values().astype(np.int32)), "TIFF"),
    "negative": lambda: encoded(Image.fromarray((grey_values() * 10 - 1000).astype(np.int32)), "TIFF"),
    "fractions": lambda: encoded(Image.fromarray((grey_values() / 255).astype(np.float32)), "TIFF"),
    "floats to 255": lambda: encoded(Image.fromarray(grey_values().astype(np.float32)), "TIFF"),
    "distances": lambda: encoded(Image.fromarray((grey_values() * 7.5 - 3).astype(np.float32)), "TIFF"),
}


@pytest.mark.parametrize("depth", DEEP)
def test_grey_of_every_depth_is_the_same_picture(depth: str, tmp_path: Path) -> None:
    content = DEEP[depth]()
    (tmp_path / "picture").write_bytes(content)
    for made in (upright(content), load_picture(str(tmp_path / "picture"))):
        assert made.mode == "RGB"
        assert np.abs(pixels(made) - expected()).max() <= 1
    assert perceptual_hash(upright(content)) == perceptual_hash(upright(DEEP["8 bits"]()))
    with Image.open(io.BytesIO(content)) as opened:
        assert perceptual_hash(opened) == perceptual_hash(upright(content))
    assert rendered_otherwise(content) == ([] if depth == "8 bits" else ["deep"])


def test_what_is_no_number_is_black() -> None:
    values = (grey_values() / 255).astype(np.float32)
    values[0, 0], values[0, 1] = np.nan, np.inf
    made = pixels(upright(encoded(Image.fromarray(values), "TIFF")))
    assert made[0, 0].tolist() == [0, 0, 0]
    assert np.abs(made[1:] - expected()[1:]).max() <= 1


def test_one_value_everywhere_is_a_picture(tmp_path: Path) -> None:
    for values in (
        np.full((8, 8), -5.0, np.float32),
        np.zeros((8, 8), np.float32),
        np.full((8, 8), np.nan, np.float32),
    ):
        assert pixels(upright(encoded(Image.fromarray(values), "TIFF"))).max() == 0


def drawing(mode: str) -> bytes:
    """A black disc on nothing."""
    y, x = np.mgrid[0:64, 0:64]
    disc = (x - 32) ** 2 + (y - 32) ** 2 < 500
    layers = np.zeros((64, 64, 4), np.uint8)
    layers[disc, 3] = 255
    picture = Image.fromarray(layers, "RGBA")
    if mode == "palette":
        indexed = Image.fromarray(np.where(disc, 1, 0).astype(np.uint8), "P")
        indexed.putpalette([10, 10, 10, 0, 0, 0])
        return encoded(indexed, transparency=0)
    if mode == "gif":
        return encoded(picture, "GIF")
    if mode == "colour key":
        plain = Image.fromarray(np.where(disc[..., None], 0, 9).astype(np.uint8).repeat(3, 2), "RGB")
        return encoded(plain, transparency=(9, 9, 9))
    if mode == "grey key":
        return encoded(Image.fromarray(np.where(disc, 0, 9).astype(np.uint8)), transparency=9)
    if mode == "deep key":
        return encoded(Image.fromarray(np.where(disc, 0, 9).astype(np.uint16)), transparency=9)
    return encoded(
        picture.convert(mode), "WEBP" if mode == "RGBA" else "PNG", **({"lossless": True} if mode == "RGBA" else {})
    )


@pytest.mark.parametrize("mode", ["RGBA", "LA", "palette", "gif", "colour key", "grey key"])
def test_what_is_transparent_lies_on_white_for_everybody(mode: str, tmp_path: Path) -> None:
    content = drawing(mode)
    (tmp_path / "picture").write_bytes(content)
    small = small_picture(content, 64)
    shown = thumbnail(content, 64)
    assert small is not None
    assert shown is not None
    seen = [upright(content), load_picture(str(tmp_path / "picture")), small, Image.open(io.BytesIO(shown[0]))]
    for picture in seen:
        assert picture.mode == "RGB"
        assert pixels(picture)[2, 2].min() > 250
        assert pixels(picture)[32, 32].max() < 8
    assert rendered_otherwise(content) == ["transparent"]
    row: Row = {"width": 64, "height": 64}
    assert read_picture(row, content, 5.0).findings == ()
    with Image.open(io.BytesIO(contact_sheet([(content, "disc")], 1, 1))) as sheet:
        assert min(sheet.convert("RGB").getpixel((12, 12))) > 240  # type: ignore[arg-type]


def test_a_transparent_value_of_16_bits_is_white() -> None:
    made = pixels(upright(drawing("deep key")))
    assert made[2, 2].tolist() == [255, 255, 255]
    assert made[32, 32].tolist() == [0, 0, 0]


def test_half_of_a_colour_shines_through() -> None:
    made = pixels(upright(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 128)))))
    assert abs(int(made[0, 0, 0]) - 127) <= 1


def test_eight_bit_colour_stays_what_it_was() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))
    for content in (
        encoded(noise),
        encoded(noise, "JPEG"),
        encoded(noise.quantize(64)),
        encoded(noise.convert("CMYK"), "JPEG"),
    ):
        with Image.open(io.BytesIO(content)) as opened:
            plain = pixels(opened)
        assert (pixels(upright(content)) == plain).all()
        assert rendered_otherwise(content) == []
    assert in_rgb(noise) is noise
    opaque = noise.convert("RGBA")
    assert (pixels(upright(encoded(opaque))) == pixels(noise)).all()


def test_lab_and_one_bit_and_animations() -> None:
    lab = Image.new("LAB", (4, 4), (255, 128, 128))
    assert pixels(upright(encoded(lab, "TIFF"))).min() > 245
    assert pixels(upright(encoded(Image.new("1", (4, 4), 1)))).min() == 255
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "lime", "blue")]
    for kind in ("GIF", "PNG", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        moving = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert pixels(upright(moving))[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_way_a_camera_was_held(orientation: int) -> None:
    plain = Image.fromarray(np.random.default_rng(1).integers(0, 255, (20, 30, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    content = encoded(plain, exif=exif)
    made = upright(content)
    assert made.size == ((20, 30) if orientation >= 5 else (30, 20))
    assert (made.tobytes() == plain.tobytes()) == (orientation == 1)
    assert rendered_otherwise(content) == ([] if orientation == 1 else ["turned"])
    deep = encoded(Image.fromarray((grey_values() * 257).astype(np.uint16)), exif=exif)
    assert upright(deep).size == ((48, 64) if orientation >= 5 else (64, 48))


XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_turn_that_xmp_alone_tells_is_the_same_for_models_lengths_and_people(kind: str, tmp_path: Path) -> None:
    noted = PngImagePlugin.PngInfo()
    noted.add_itxt("XML:com.adobe.xmp", XMP)
    content = encoded(
        Image.new("RGB", (30, 20), "teal"), kind, **({"pnginfo": noted} if kind == "PNG" else {"xmp": XMP.encode()})
    )
    (tmp_path / "turned").write_bytes(content)
    assert upright(content).size == picture_size(str(tmp_path / "turned")) == (20, 30)
    shown = thumbnail(content, 64)
    assert shown is not None
    with Image.open(io.BytesIO(shown[0])) as browser:
        assert browser.size == (20, 30)


def test_a_camera_s_value_of_another_kind_is_a_damaged_picture() -> None:
    rational_for_text = (
        b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\x0f\x01\x0a\0\x01\0\0\0\x0a\0\0\0\0\0\0\0"
    )
    with pytest.raises(UndecodablePictureError, match=r"what its camera stored beside it \(EXIF\) is damaged: "):
        upright(encoded(Image.new("RGB", (4, 2)), "JPEG", exif=rational_for_text))


def test_why_a_picture_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Image.fromarray(np.random.default_rng(2).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    for kind in ("PNG", "JPEG", "TIFF", "BMP"):
        whole = encoded(noise, kind)
        with pytest.raises(UndecodablePictureError, match=r".{5}"):
            upright(whole[: len(whole) // 2])
    with pytest.raises(UndecodablePictureError, match="it is empty"):
        upright(b"")
    with pytest.raises(UndecodablePictureError, match="it is in no format that Pillow reads"):
        upright(b"<html>not found</html>")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UndecodablePictureError, match="it is too large"):
        upright(encoded(noise))
    missing = str(tmp_path / "gone.png")
    assert str(broken_pictures([missing], 1, print)[missing]).endswith("No such file or directory")
