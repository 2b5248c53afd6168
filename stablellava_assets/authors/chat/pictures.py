"""The images of a partition, for a model that sees them."""

from __future__ import annotations

from stablellava_assets.tables.encoded_images import PublishedImages
from stablellava_assets.tables.schemas import IMAGES
from stablellava_assets.tables.store import ParquetStore, Partition


class MissingPictureError(KeyError):
    """There is no such image."""


class Pictures:
    """Encoded images, of which a few megabytes are in memory at a time."""

    def __init__(self, store: ParquetStore, partition: Partition) -> None:
        self._images = PublishedImages(store, IMAGES, partition)
        self._partition = partition

    def encoded(self, image_id: str) -> tuple[bytes, str]:
        """Bytes and file name of an image.

        Raises:
            MissingPictureError: it is not published.
        """
        picture = self._images.one(image_id)
        if picture is None:
            raise MissingPictureError(f"picture {image_id} of {'|'.join(self._partition)} is not published")
        return picture["bytes"], picture["path"] or ""
