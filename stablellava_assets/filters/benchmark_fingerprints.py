"""Decontamination: the prompts, images and questions of all benchmark items, which no training pair may repeat."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, NotRequired, TypedDict

from stablellava_assets.abilities.prompt_format import normalized_prompt, subject_of
from stablellava_assets.filters.near_duplicates.near_images import NearImages
from stablellava_assets.filters.near_duplicates.near_texts import NearTexts
from stablellava_assets.filters.near_duplicates.near_vectors import NearVectors, Vector
from stablellava_assets.tables.encoded_images import EncodedImages
from stablellava_assets.text.conversations import HUMAN, IMAGE_MARK, Turn, said_by
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
    """An image of an item of a published benchmark: its SHA-256, its perceptual hash (hex), and the question about it.

    ``item`` describes the item, ``item_id`` tells it from all others of its ``benchmark``.
    """

    item: str
    question: str
    sha256: str
    perceptual_hash: str
    benchmark: str = ""
    item_id: str = ""


class BenchmarkItem(NamedTuple):
    """An item of a benchmark, and its name in explanations."""

    benchmark: str
    item_id: str
    name: str


def with_hashes(items: Sequence[ItemToAvoid], images: EncodedImages) -> list[ItemToAvoid]:
    """The items with the SHA-256 of their images, which rows of earlier versions lack; only those images are read."""
    unhashed = {item["item_id"] for item in items if item["sha256"] is None and _may_have_image(item)}
    hashes = {item_id: hashlib.sha256(encoded).hexdigest() for item_id, encoded in images(unhashed)}
    return [{**item, "sha256": item["sha256"] or hashes.get(item["item_id"])} for item in items]


def _may_have_image(item: ItemToAvoid) -> bool:
    # A photograph is kept although it cannot be decoded.
    return item["perceptual_hash"] is not None or item["prompt"] is None


class BenchmarkFingerprints:
    """Fingerprints of benchmark items: prompts, image bytes, perceptual hashes, embeddings and questions.

    Args:
        items: ``ability_benchmark`` rows; those without an image count by prompt. Photographs have no prompt, and a
            training image that looks like one is a repeat whatever its subject.
        image_bits: maximum Hamming distance (of 64 bits) between the hashes of two images that look alike.
        published: items of published benchmarks.
        vectors: embeddings of the images of photographs and published items by SHA-256, if images are embedded.
        near_image: minimum cosine similarity of two images that look alike.
    """

    def __init__(
        self,
        items: Iterable[ItemToAvoid],
        image_bits: int,
        published: Iterable[BenchmarkFingerprint] = (),
        vectors: Mapping[str, Vector] | None = None,
        near_image: float = 1.0,
    ) -> None:
        self.sizes: dict[str, int] = {}
        """Number of items by benchmark."""
        self._prompts: defaultdict[str, list[BenchmarkItem]] = defaultdict(list)
        self._bytes: defaultdict[str, list[BenchmarkItem]] = defaultdict(list)
        self._hashes: defaultdict[tuple[str, str], list[BenchmarkItem]] = defaultdict(list)
        self._questions: defaultdict[str, list[BenchmarkItem]] = defaultdict(list)
        self._perceptual_hashes = NearImages(image_bits)
        self._vectors = NearVectors(near_image)
        self._near = NearTexts(_NEAR_QUESTION)
        known: dict[str, set[str]] = defaultdict(set)
        for item in items:
            known[item["benchmark"]].add(item["item_id"])
            self._add_item(item)
        for one in published:
            known[one.benchmark].add(one.item_id)
            self._add_published(one)
        self.sizes |= {benchmark: len(ids) for benchmark, ids in known.items()}
        for sha256, vector in (vectors or {}).items():
            self._vectors.add("", vector, sha256)
        self._near.expect(("", question) for question in self._questions)
        for question in self._questions:
            self._near.near("", question)

    def _add_item(self, item: ItemToAvoid) -> None:
        prompt, named = item["prompt"], BenchmarkItem(item["benchmark"], item["item_id"], item["item_id"])
        prompts = [] if prompt is None else prompt.split("\n")
        for each in prompts:
            self._prompts[normalized_prompt(each)].append(named)
        for sha256 in (item["sha256"], *(item.get("further_sha256") or ())):
            if sha256 is not None:
                self._bytes[sha256].append(named)
        hashes = (item["perceptual_hash"], *(item.get("further_perceptual_hashes") or ()))
        subjects = [subject_of(each) for each in prompts] or [_ANY_SUBJECT] * len(hashes)
        for subject, perceptual_hash in zip(subjects, hashes, strict=False):
            if perceptual_hash is not None:
                self._add_hash(subject, perceptual_hash, named)
        if prompt is None and item["sha256"] is not None:
            asking = named._replace(name=f"{named.item_id} of {named.benchmark}")
            self._questions[normalized_text(item["question"])].append(asking)

    def _add_published(self, one: BenchmarkFingerprint) -> None:
        named = BenchmarkItem(one.benchmark, one.item_id, one.item)
        self._bytes[one.sha256].append(named)
        self._add_hash(_ANY_SUBJECT, one.perceptual_hash, named)
        if one.question:
            self._questions[normalized_text(one.question)].append(named)

    def _add_hash(self, subject: str, perceptual_hash: str, item: BenchmarkItem) -> None:
        self._hashes[subject, perceptual_hash].append(item)
        self._perceptual_hashes.add(subject, perceptual_hash, perceptual_hash)

    def item_with_prompt(self, prompt: str) -> str | None:
        """The id of an item with this prompt, if any."""
        found = self._prompts.get(normalized_prompt(prompt))
        return found[0].name if found else None

    def item_with_picture(self, prompt: str, sha256: str, perceptual_hash: str) -> tuple[str, int] | None:
        """An item with this image or a similar one (of the same subject, if it was synthesized), and the
        Hamming distance of the hashes."""
        if sha256 in self._bytes:
            return self._bytes[sha256][0].name, 0
        for subject in (subject_of(prompt), _ANY_SUBJECT):
            if (nearest := self._perceptual_hashes.nearest(subject, perceptual_hash)) is not None:
                other, bits = nearest
                return self._hashes[subject, other][0].name, bits
        return None

    def item_with_lookalike(self, vector: Vector | None) -> tuple[str, float] | None:
        """The photograph or published item whose image has the nearest embedding, if it is near, and the cosine
        similarity."""
        near = [] if vector is None else self._vectors.near("", vector)
        return (self._bytes[near[0][0]][0].name, near[0][1]) if near else None

    def item_with_question(self, conversations: Sequence[Turn]) -> tuple[str, str] | None:
        """The first photograph or published item with a question asked here, and that question.
        Synthesized items do not count."""
        for question in self._repeated_questions(conversations):
            return self._questions[question][0].name, question
        return None

    def items_like(
        self, prompt: str, sha256: str, perceptual_hash: str, vector: Vector | None = None
    ) -> set[BenchmarkItem]:
        """Every item with this prompt, this image, or a similar one."""
        found = {*self._prompts.get(normalized_prompt(prompt), ()), *self._bytes.get(sha256, ())}
        for subject in (subject_of(prompt), _ANY_SUBJECT):
            for other, _ in self._perceptual_hashes.near(subject, perceptual_hash):
                found.update(self._hashes[subject, other])
        for other, _ in () if vector is None else self._vectors.near("", vector):
            found.update(self._bytes[other])
        return found

    def items_asking(self, conversations: Sequence[Turn]) -> set[BenchmarkItem]:
        """Every photograph and published item with a question asked here."""
        asked = self._repeated_questions(conversations)
        return {item for question in asked for item in self._questions[question]}

    def _repeated_questions(self, conversations: Sequence[Turn]) -> Iterator[str]:
        """The questions of items that are asked here: the same, else those that are nearly so."""
        for asked in said_by(HUMAN, conversations) if self._questions else ():
            text = normalized_text(asked.replace(IMAGE_MARK, " "))
            if text in self._questions:
                yield text
            yield from (other for other, _ in self._near.near("", text) if other in self._questions)
