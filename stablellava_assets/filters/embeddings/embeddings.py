"""Embeddings of prompts, open answers and images, by the models that the profile names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from stablellava_assets.filters.candidates import answer_text, image_hashes_of, prompt_text
from stablellava_assets.filters.embeddings.encoders import ImageEncoder, TextEncoder
from stablellava_assets.filters.embeddings.vector_cache import VectorCache
from stablellava_assets.filters.near_duplicates.near_vectors import Vector
from stablellava_assets.filters.settings import DuplicateSettings
from stablellava_assets.pictures.decoding import UndecodablePictureError, upright
from stablellava_assets.tables.encoded_images import EncodedImages
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.pair_rows import ComparedPair


class Embeddings:
    """Embeddings of the pairs passed to :meth:`load`. Kinds of content without a model in the settings have none.

    Args:
        settings: the models.
        folder: where embeddings are cached between runs, one file per model.
    """

    def __init__(self, settings: DuplicateSettings, folder: Path) -> None:
        self.settings = settings
        self._texts: dict[str, Vector] = {}
        self._images: dict[str, Vector] = {}
        self._text_cache: VectorCache[str] | None = None
        self._image_cache: VectorCache[bytes] | None = None
        keys = []
        if settings.semantic_text is not None:
            text_encoder = TextEncoder(settings.semantic_text)
            keys.append(text_encoder.key)
            self._text_cache = VectorCache(folder / f"texts-{text_encoder.key}.sqlite", text_encoder.encode)
        if settings.embedded_images is not None:
            image_encoder = ImageEncoder(settings.embedded_images)
            keys.append(image_encoder.key)
            self._image_cache = VectorCache(folder / f"pictures-{image_encoder.key}.sqlite", image_encoder.encode)
        self.key = content_key(keys)
        """Hash of the models."""

    def load(self, pairs: Sequence[ComparedPair], pictures: EncodedImages) -> None:
        """Compute the embeddings of ``pairs`` (rows with at least ``EARLIER_COLUMNS``) or read them from the cache.

        Raises:
            PretrainedModelError: a model cannot be loaded.
        """
        if self._text_cache is not None:
            texts = {
                content_key(text): text for pair in pairs for text in (self._prompt(pair), self._answer(pair)) if text
            }
            new = {key: text for key, text in texts.items() if key not in self._texts}
            self._texts |= self._text_cache.vectors(new, lambda missing: ((key, new[key]) for key in missing))
        if self._image_cache is not None:
            images = {
                sha256: image_id
                for pair in pairs
                for sha256, image_id in zip(image_hashes_of(pair), pair["image_ids"], strict=False)
            }
            unknown = {key: image_id for key, image_id in images.items() if key not in self._images}
            self._images |= self._image_cache.vectors(unknown, lambda missing: _decodable(pictures, unknown, missing))

    def of_images(self, keys: Collection[str], images: EncodedImages) -> dict[str, Vector]:
        """Embeddings of images that belong to no pair, by SHA-256; empty if images are not compared.

        Args:
            keys: their SHA-256.
            images: gives those that were never embedded, by SHA-256.

        Raises:
            PretrainedModelError: the model cannot be loaded.
        """
        if self._image_cache is None:
            return {}
        return self._image_cache.vectors(
            keys, lambda missing: ((key, encoded) for key, encoded in images(missing) if _can_be_decoded(encoded))
        )

    def know(self, kind: str, pair: ComparedPair, vectors: Sequence[Vector]) -> None:
        """Take over embeddings (of kind ``prompt``, ``answer`` or ``image``) that were computed before."""
        if kind == "image":
            self._images |= zip(image_hashes_of(pair), vectors, strict=True)
        elif (text := self._prompt(pair) if kind == "prompt" else self._answer(pair)) is not None:
            self._texts[content_key(text)] = vectors[0]

    def prompt(self, pair: ComparedPair) -> Vector | None:
        """Embedding of the prompt, or of all prompts together; None if prompts are not compared."""
        return self._texts.get(content_key(text)) if (text := self._prompt(pair)) else None

    def answer(self, pair: ComparedPair) -> Vector | None:
        """Embedding of the answers to an open question; None for closed questions and if answers are not compared."""
        return self._texts.get(content_key(text)) if (text := self._answer(pair)) else None

    def images(self, pair: ComparedPair) -> list[Vector]:
        """Embeddings of the images, in order; empty if one cannot be decoded, or images are not compared."""
        found = [self._images.get(sha256) for sha256 in image_hashes_of(pair)]
        vectors = [vector for vector in found if vector is not None]
        return vectors if len(vectors) == len(found) else []

    def _prompt(self, pair: ComparedPair) -> str | None:
        text = self.settings.semantic_text
        return prompt_text(pair) if text is not None and text.near_prompt < 1 else None

    def _answer(self, pair: ComparedPair) -> str | None:
        text = self.settings.semantic_text
        return answer_text(pair) if text is not None and text.near_answer < 1 and pair["expected"] is None else None


def vectors_of(pair: ComparedPair, embeddings: Embeddings | None) -> Sequence[Vector | None]:
    """The embedding of each image of a pair; None where images are not compared, or one cannot be decoded."""
    known = [] if embeddings is None else embeddings.images(pair)
    return known or [None] * len(image_hashes_of(pair))


def _decodable(pictures: EncodedImages, image_of: dict[str, str], missing: list[str]) -> Iterator[tuple[str, bytes]]:
    """The images of ``missing`` keys that can be decoded, in one pass over all."""
    keys_of: dict[str, list[str]] = {}
    for key in missing:
        keys_of.setdefault(image_of[key], []).append(key)
    for image_id, encoded in pictures(keys_of):
        if _can_be_decoded(encoded):
            yield from ((key, encoded) for key in keys_of[image_id])


def _can_be_decoded(encoded: bytes | None) -> bool:
    try:
        upright(encoded)
    except UndecodablePictureError:
        return False
    return True
