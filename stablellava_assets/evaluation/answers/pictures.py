"""The images of benchmark items: what of them is in the keys of answers, and their bytes when a model is asked."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import IO, NamedTuple

from stablellava_assets.evaluation.suites.items import SuiteItem
from stablellava_assets.evaluation.suites.pictures import Picture
from stablellava_assets.pictures.decoding import rendered_otherwise
from stablellava_assets.tables.encoded_images import EncodedImages


class ItemPicture(NamedTuple):
    """An item's image: a hash of its bytes, how earlier versions decoded it differently, and the bytes or their reader.

    ``rendered`` is of :func:`~stablellava_assets.pictures.decoding.rendered_otherwise`.
    """

    key: str
    rendered: Sequence[str]
    encoded: bytes | Callable[[], bytes]


def held_pictures(items: Iterable[SuiteItem]) -> dict[str, list[ItemPicture]]:
    """The images of published benchmarks by item id; those that items share are hashed once."""
    known: dict[int, ItemPicture] = {}

    def hashed(picture: Picture) -> ItemPicture:
        if id(picture) not in known:
            known[id(picture)] = _picture(picture.encoded, picture.read)
        return known[id(picture)]

    return {item["item_id"]: [hashed(picture) for picture in item["pictures"]] for item in items}


class PublishedPictures:
    """The images of ``ability_benchmark``, which are asked about in any order.

    Args:
        images: of these items, a few in memory at a time.
        folder: where they are copied to while a model is asked, in a file that the system removes.
    """

    def __init__(self, images: EncodedImages, folder: Path) -> None:
        self._images = images
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._places: dict[tuple[str, int], tuple[int, int]] = {}

    def of(self, item_ids: Collection[str]) -> dict[str, list[ItemPicture]]:
        """The images by item id, in order, each read once for its hash.

        Raises:
            StoreError: they cannot be read.
        """
        found: dict[str, list[ItemPicture]] = {}
        for (item_id, number), encoded in self._numbered(item_ids):
            found.setdefault(item_id, []).append(_picture(encoded, partial(self._read, (item_id, number))))
        return found

    @contextmanager
    def copied(self, item_ids: Collection[str]) -> Iterator[None]:
        """While in this context, the images of these items can be read.

        Raises:
            StoreError: they cannot be read.
            OSError: the copy cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._folder) as self._file:
            for place, encoded in self._numbered(item_ids):
                self._places[place] = self._file.tell(), len(encoded)
                self._file.write(encoded)
            yield
        self._file = None

    def _numbered(self, item_ids: Collection[str]) -> Iterator[tuple[tuple[str, int], bytes]]:
        for item_id, images in groupby(self._images(item_ids), key=itemgetter(0)):
            yield from (((item_id, number), encoded) for number, (_, encoded) in enumerate(images))

    def _read(self, place: tuple[str, int]) -> bytes:
        assert self._file is not None
        start, size = self._places[place]
        self._file.seek(start)
        return self._file.read(size)


def _picture(encoded: bytes, read: bytes | Callable[[], bytes]) -> ItemPicture:
    rendered = sorted(set(rendered_otherwise(encoded)) - {"turned"})
    return ItemPicture(hashlib.blake2b(encoded, digest_size=16).hexdigest(), rendered, read)
