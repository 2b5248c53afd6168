"""Decontamination: the prompts, images and questions of all benchmark items, which no training pair may repeat."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple, NotRequired, TypedDict

from stablellava_assets.abilities.prompt_format import normalized_prompt, subject_of
from stablellava_assets.filters.near_duplicates.near_images import NearImages
from stablellava_assets.filters.near_duplicates.near_texts import NearTexts
from stablellava_assets.tables.encoded_images import EncodedImages
from stablellava_assets.text.conversations import HUMAN, IMAGE_MARK, Turn
from stablellava_assets.text.normalized import normalized_text


class ItemToAvoid(TypedDict):
    """The columns of an ``ability_benchmark`` row that pairs are compared with.

    An item about several images has their prompts on lines of their own.
    """

    item_id: str
    benchmark: str
    prompt: str | None
    question: str
    sha256: str | None
    perceptual_hash: str | None
    further_sha256: NotRequired[list[str] | None]
    further_perceptual_hashes: NotRequired[list[str] | None]


_ANY_SUBJECT = "\0any"
"""Group of the items without a subject; no prompt can have this subject."""
_NEAR_QUESTION = 0.9
"""Jaccard index of shingles from which two questions count as the same."""


class BenchmarkFingerprint(NamedTuple):
    """An item of a published benchmark: SHA-256 and perceptual hash (hex) of its image, and its question."""

    item: str
    question: str
    sha256: str
    perceptual_hash: str


def with_hashes(items: Sequence[ItemToAvoid], images: EncodedImages) -> list[ItemToAvoid]:
    """The items with the SHA-256 of their images, which rows of earlier versions lack; only those images are read."""
    unhashed = {item["item_id"] for item in items if item["sha256"] is None and _may_have_image(item)}
    hashes = {item_id: hashlib.sha256(encoded).hexdigest() for item_id, encoded in images(unhashed)}
    return [{**item, "sha256": item["sha256"] or hashes.get(item["item_id"])} for item in items]


def _may_have_image(item: ItemToAvoid) -> bool:
    # A photograph is kept although it cannot be decoded.
    return item["perceptual_hash"] is not None or item["prompt"] is None


class BenchmarkFingerprints:
    """Fingerprints of benchmark items: prompts, image bytes, perceptual hashes and questions.

    Args:
        items: ``ability_benchmark`` rows; those without an image count by prompt. Photographs have no prompt, and a
            training image that looks like one is a repeat whatever its subject.
        image_bits: maximum Hamming distance (of 64 bits) between the hashes of two images that look alike.
        published: items of published benchmarks.
    """

    def __init__(
        self, items: Iterable[ItemToAvoid], image_bits: int, published: Iterable[BenchmarkFingerprint] = ()
    ) -> None:
        self._prompts: dict[str, str] = {}
        self._bytes: dict[str, str] = {}
        self._questions: dict[str, str] = {}
        self._perceptual_hashes = NearImages(image_bits)
        self._near = NearTexts(_NEAR_QUESTION)
        for item in items:
            prompt, name = item["prompt"], item["item_id"]
            prompts = [] if prompt is None else prompt.split("\n")
            for each in prompts:
                self._prompts.setdefault(normalized_prompt(each), name)
            for sha256 in (item["sha256"], *(item.get("further_sha256") or ())):
                if sha256 is not None:
                    self._bytes.setdefault(sha256, name)
            hashes = (item["perceptual_hash"], *(item.get("further_perceptual_hashes") or ()))
            subjects = [subject_of(each) for each in prompts] or [_ANY_SUBJECT] * len(hashes)
            for subject, perceptual_hash in zip(subjects, hashes, strict=False):
                if perceptual_hash is not None:
                    self._perceptual_hashes.add(subject, perceptual_hash, name)
            if prompt is None and item["sha256"] is not None:
                self._questions.setdefault(normalized_text(item["question"]), f"{name} of {item['benchmark']}")
        for one in published:
            self._bytes.setdefault(one.sha256, one.item)
            self._perceptual_hashes.add(_ANY_SUBJECT, one.perceptual_hash, one.item)
            self._questions.setdefault(normalized_text(one.question), one.item)
        self._near.expect(("", question) for question in self._questions)
        for question in self._questions:
            self._near.near("", question)

    def item_with_prompt(self, prompt: str) -> str | None:
        """The id of an item with this prompt, if any."""
        return self._prompts.get(normalized_prompt(prompt))

    def item_with_picture(self, prompt: str, sha256: str, perceptual_hash: str) -> tuple[str, int] | None:
        """An item with this image or a similar one (of the same subject, if it was synthesized), and the
        Hamming distance of the hashes."""
        if sha256 in self._bytes:
            return self._bytes[sha256], 0
        of_subject = self._perceptual_hashes.nearest(subject_of(prompt), perceptual_hash)
        return of_subject or self._perceptual_hashes.nearest(_ANY_SUBJECT, perceptual_hash)

    def item_with_question(self, conversations: Iterable[Turn]) -> tuple[str, str] | None:
        """The first photograph or published item with a question asked here, and that question.
        Synthesized items do not count."""
        if not self._questions:
            return None
        for turn in conversations:
            if turn["from"] != HUMAN:
                continue
            asked = normalized_text(turn["value"].replace(IMAGE_MARK, " "))
            near = (other for other, _ in self._near.near("", asked) if other in self._questions)
            found = asked if asked in self._questions else next(near, None)
            if found is not None:
                return self._questions[found], found
        return None
