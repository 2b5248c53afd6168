"""What no training pair may repeat: the prompts, the pictures and the questions of everything that is scored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple, TypedDict

from stablellava_assets.abilities.prompt_format import normalized_prompt, subject_of
from stablellava_assets.filters.near_duplicates.near_images import NearImages
from stablellava_assets.filters.near_duplicates.near_texts import NearTexts
from stablellava_assets.tables.pair_rows import EncodedImage
from stablellava_assets.tables.reading import bytes_of
from stablellava_assets.text.conversations import HUMAN, IMAGE_MARK, Turn
from stablellava_assets.text.normalized import normalized_text


class ItemToAvoid(TypedDict):
    """What pairs are compared with of a row of ``ability_benchmark``."""

    item_id: str
    benchmark: str
    prompt: str | None
    question: str
    image: EncodedImage | None
    perceptual_hash: str | None


_ANY_SUBJECT = "\0any"
"""The group of what has no subject; no prompt has a subject like this."""
_NEAR_QUESTION = 0.9
"""Jaccard index of shingles from which two questions are taken for one, as for prompts."""


class Print(NamedTuple):
    """An item of a published benchmark: SHA-256 and perceptual hash of its picture, hex, and what is asked."""

    item: str
    question: str
    sha256: str
    perceptual_hash: str


class BenchmarkPrints:
    """Fingerprints of benchmark items: prompts, picture bytes, how pictures look, and questions.

    Args:
        items: ``ability_benchmark`` rows; unpainted ones count by prompt. Photographs have
            no prompt; a training picture that looks like one repeats it, whatever its own subject is.
        image_bits: in how many of 64 bits the hashes of two pictures that look alike may differ.
        published: items of published benchmarks.
    """

    def __init__(self, items: Iterable[ItemToAvoid], image_bits: int, published: Iterable[Print] = ()) -> None:
        self._prompts: dict[str, str] = {}
        self._bytes: dict[str, str] = {}
        self._questions: dict[str, str] = {}
        self._looks = NearImages(image_bits)
        self._near = NearTexts(_NEAR_QUESTION)
        for item in items:
            prompt, name = item["prompt"], item["item_id"]
            if prompt is not None:
                self._prompts.setdefault(normalized_prompt(prompt), name)
            encoded = bytes_of(item["image"])
            if encoded is not None:
                self._bytes.setdefault(hashlib.sha256(encoded).hexdigest(), name)
            if item["perceptual_hash"] is not None:
                self._looks.add(_ANY_SUBJECT if prompt is None else subject_of(prompt), item["perceptual_hash"], name)
            if prompt is None and encoded is not None:
                self._questions.setdefault(normalized_text(item["question"]), f"{name} of {item['benchmark']}")
        for each in published:
            self._bytes.setdefault(each.sha256, each.item)
            self._looks.add(_ANY_SUBJECT, each.perceptual_hash, each.item)
            self._questions.setdefault(normalized_text(each.question), each.item)
        self._near.expect(("", question) for question in self._questions)
        for question in self._questions:
            self._near.near("", question)

    def item_with_prompt(self, prompt: str) -> str | None:
        """The item that has this prompt, if any."""
        return self._prompts.get(normalized_prompt(prompt))

    def item_with_picture(self, prompt: str, sha256: str, perceptual_hash: str) -> tuple[str, int] | None:
        """The item with this picture, or looking the same (and of this subject, if it was painted), and in how many bits its hash differs."""
        if sha256 in self._bytes:
            return self._bytes[sha256], 0
        of_subject = self._looks.nearest(subject_of(prompt), perceptual_hash)
        return of_subject or self._looks.nearest(_ANY_SUBJECT, perceptual_hash)

    def item_with_question(self, conversations: Iterable[Turn]) -> tuple[str, str] | None:
        """The first photograph or published item that asks what a person asks here, and the question; painted items do not count."""
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
