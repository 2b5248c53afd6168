"""How an answer may name an image by its place: first, 1st, picture 1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stablellava_assets.abilities.multi_image import CARDINALS, ORDINALS

_SHORT = ("1st", "2nd", "3rd", "4th", "5th", "6th")
_IMAGES = ("picture", "image", "photo")


def said_as(keywords: Iterable[str], *, alone: bool) -> list[str]:
    """The keywords, with other ways to say those that are ordinals; ``alone``: also a mere number."""
    return list(dict.fromkeys(said for keyword in keywords for said in (keyword, *_others(keyword, alone))))


def _others(keyword: str, alone: bool) -> Iterator[str]:
    if keyword.casefold() in ORDINALS:
        place = ORDINALS.index(keyword.casefold())
        yield _SHORT[place]
        yield from (f"{image} {name}" for image in _IMAGES for name in (str(place + 1), CARDINALS[place]))
        if alone:
            yield str(place + 1)
