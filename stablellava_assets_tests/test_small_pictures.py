"""Pictures that people look at stand as their camera was held, whole, and on white where they are transparent."""

from __future__ import annotations

import io

import pytest
from PIL import ExifTags, Image

from stablellava_assets.gallery.thumbnails import thumbnail
from stablellava_assets.pictures.contact_sheet import contact_sheet
from stablellava_assets.pictures.thumbnails import small_picture


def _held_sideways() -> bytes:
    """A wide picture, red on the left, that a camera held on its side took: upright it is tall and red at the top."""
    held = Image.Exif()
    held[ExifTags.Base.Orientation] = 6
    picture = Image.new("RGB", (400, 200), "#0000ff")
    picture.paste("#ff0000", (0, 0, 200, 200))
    return _encoded(picture, "JPEG", exif=held)


def _encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _is_red(pixel: object) -> bool:
    assert isinstance(pixel, tuple)
    red, _, blue = pixel
    return bool(red > 200 and blue < 60)


def test_a_picture_is_turned_as_its_camera_was_held() -> None:
    small = small_picture(_held_sideways(), 100)
    assert small is not None
    assert small.size == (50, 100)
    assert _is_red(small.getpixel((25, 20)))
    assert not _is_red(small.getpixel((25, 80)))
    found = thumbnail(_held_sideways(), 100)
    assert found is not None
    with Image.open(io.BytesIO(found[0])) as picture:
        assert picture.size == (50, 100)
        assert not picture.getexif()


def test_a_contact_sheet_shows_it_upright_and_whole() -> None:
    with Image.open(io.BytesIO(contact_sheet([(_held_sideways(), "tall")], 1, 1))) as sheet:
        assert _is_red(sheet.getpixel((60, 30)))
        assert not _is_red(sheet.getpixel((60, 90)))
        assert sheet.getpixel((20, 60)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode: str) -> None:
    picture = Image.new("RGBA", (8, 8), (0, 0, 0, 0)).convert(mode)
    options = {"transparency": 0} if mode == "P" else {}
    small = small_picture(_encoded(picture, "PNG", **options), 100)
    assert small is not None
    assert small.size == (8, 8)
    assert small.getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize("encoded", [None, b"", b"no picture", _held_sideways()[:300]])
def test_what_cannot_be_decoded_is_missing(encoded: bytes | None) -> None:
    assert small_picture(encoded, 100) is None
    assert thumbnail(encoded, 100) is None


def test_a_sheet_has_a_grey_square_where_a_picture_cannot_be_decoded() -> None:
    with Image.open(io.BytesIO(contact_sheet([(b"no picture", "gone")], 1, 1))) as sheet:
        assert sheet.getpixel((60, 60)) == (204, 204, 204)
