"""The images of a partition, for a model that sees them."""

from __future__ import annotations

from functools import cached_property

import pyarrow as pa

from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import IMAGES
from stablellava_assets.tables.store import ParquetStore, Partition


class MissingPictureError(KeyError):
    """There is no such image."""


class Pictures:
    """Encoded images, read on first use."""

    def __init__(self, store: ParquetStore, partition: Partition) -> None:
        self._store = store
        self._partition = partition

    def encoded(self, image_id: str) -> tuple[bytes, str]:
        """Bytes and file name of an image.

        Raises:
            MissingPictureError: it is not published.
        """
        row = self._rows.get(image_id)
        picture = None if row is None else self._data["image"][row].as_py()
        if picture is None:
            raise MissingPictureError(f"picture {image_id} of {'|'.join(self._partition)} is not published")
        return picture["bytes"], picture["path"]

    @cached_property
    def _data(self) -> pa.Table:
        data = self._store.read(IMAGES, self._partition, ["image_id", "image"])
        return data if data is not None else IMAGES.schema.empty_table()

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {image_id: row for row, image_id in enumerate(texts_of(self._data, "image_id"))}
