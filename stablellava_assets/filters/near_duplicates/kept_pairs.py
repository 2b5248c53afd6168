"""Finds pairs that repeat an earlier kept pair.

- Prompts and images are compared between specs, never between several dialogues about one image.
- A pair about several images repeats another if all of its prompts, or all of its images, do, in whatever order. It
  never repeats one about a single image.
- Prompts that are nearly equal letter by letter differ if one has another word in the
  same place ("river", "riverbank").
- Answers are compared only for open questions: "It is a koala." is the right answer to a thousand images.
- Near duplicates are searched within one subject, so that "((fox)), meadow" and "((ox)), meadow" stay two prompts.
  Byte-identical images and equal questions are searched across all subjects.

The earliest pair is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stablellava_assets.filters.candidates import (
    answer_text,
    bytes_key,
    perceptual_hashes_of,
    prompt_text,
    question_key,
    spec_key,
    subject_key,
)
from stablellava_assets.filters.embeddings.embeddings import Embeddings
from stablellava_assets.filters.findings import Finding
from stablellava_assets.filters.near_duplicates.near_images import NearImages
from stablellava_assets.filters.near_duplicates.near_texts import NearTexts
from stablellava_assets.filters.near_duplicates.near_vectors import NearVectors, Vector
from stablellava_assets.filters.settings import DuplicateSettings
from stablellava_assets.tables.pair_rows import ComparedPair
from stablellava_assets.text.word_forms import swaps_a_word


class KeptPairs:
    """The pairs kept so far, indexed by everything that a later pair could repeat. Pairs are verdict rows.

    Args:
        settings: thresholds.
        embeddings: embeddings of every pair that is added or queried; required if the settings name a model.

    Raises:
        ValueError: the settings name a model but ``embeddings`` is None.
    """

    def __init__(self, settings: DuplicateSettings, embeddings: Embeddings | None = None) -> None:
        if embeddings is None and (settings.semantic_text or settings.embedded_images):
            raise ValueError("the settings compare by embeddings, so embeddings must be given")
        self._settings = settings
        # Without models there are no embeddings, and no file is touched.
        self._embeddings = embeddings or Embeddings(DuplicateSettings(), Path())
        self._specs: set[str] = set()
        self._prompts = _Repeats(settings.near_prompt)
        self._answers = _Repeats(settings.near_answer)
        self._questions: dict[tuple[str, ...], str] = {}
        self._bytes: dict[str, str] = {}
        self._perceptual_hashes = NearImages(settings.image_bits)
        text, images = settings.semantic_text, settings.embedded_images
        self._prompt_embeddings = NearVectors(text.near_prompt if text else 1.0)
        self._answer_embeddings = NearVectors(text.near_answer if text else 1.0)
        self._image_embeddings = NearVectors(images.near_image if images else 1.0)

    def expect(self, pairs: Sequence[ComparedPair]) -> None:
        """Precompute hashes for pairs that will be added or queried. Optional, but faster."""
        subjects = [subject_key(pair) for pair in pairs]
        self._prompts.expect([(s, prompt_text(pair)) for s, pair in zip(subjects, pairs, strict=True)])
        self._answers.expect(
            [(s, answer_text(pair)) for s, pair in zip(subjects, pairs, strict=True) if pair["expected"] is None]
        )

    def add(self, pair: ComparedPair) -> None:
        """Add a kept pair: a row with at least ``EARLIER_COLUMNS``."""
        pair_id, subject = pair["pair_id"], subject_key(pair)
        self._questions.setdefault(question_key(pair), pair_id)
        if pair["expected"] is None:
            self._answers.add(subject, answer_text(pair), pair_id)
            _add(self._answer_embeddings, subject, self._embeddings.answer(pair), pair_id)
        spec = spec_key(pair)
        if spec not in self._specs:
            self._specs.add(spec)
            self._prompts.add(subject, prompt_text(pair), pair_id)
            self._bytes.setdefault(bytes_key(pair), pair_id)
            self._perceptual_hashes.add(subject, " ".join(perceptual_hashes_of(pair)), pair_id)
            _add(self._prompt_embeddings, subject, self._embeddings.prompt(pair), pair_id)
            for vector in self._embeddings.images(pair):
                _add(self._image_embeddings, subject, vector, pair_id)

    def repeated_by(self, pair: ComparedPair) -> Iterator[Finding]:
        """Findings for everything in ``pair`` that repeats a kept pair, in the order of ``findings.RepeatRule``."""
        subject = subject_key(pair)
        is_new_spec = spec_key(pair) not in self._specs
        if is_new_spec:
            yield from self._repeated_prompt(subject, pair)
        if (asked_by := self._questions.get(question_key(pair))) is not None:
            pictures = "picture" if _is_about_one(pair) else "pictures"
            yield Finding("repeated_question", f"Pair {asked_by} asks the same about the same {pictures}.", asked_by)
        if pair["expected"] is None:
            yield from self._repeated_answer(subject, pair)
        if is_new_spec:
            yield from self._repeated_image(subject, pair)

    def _repeated_prompt(self, subject: str, pair: ComparedPair) -> Iterator[Finding]:
        text, allowed = prompt_text(pair), self._settings.specs_per_prompt
        same = self._prompts.same(subject, text)
        if len(same) >= allowed:
            what = "prompt is that" if _is_about_one(pair) else "prompts are those"
            yield Finding("repeated_prompt", f"The {what} of pair {same[0]}.", same[0])
        elif near := self._prompts.near(subject, text, allowed - len(same), _show_different_things):
            pair_id, other, similarity = near
            yield Finding("near_prompt", f"The prompt is {similarity:.0%} that of pair {pair_id}: {other!r}.", pair_id)
        elif alike := _near(self._prompt_embeddings, subject, self._embeddings.prompt(pair), allowed):
            pair_id, cosine = alike
            explanation = f"The prompt means what that of pair {pair_id} does: their cosine is {cosine:.3f}."
            yield Finding("same_meaning_prompt", explanation, pair_id)

    def _repeated_answer(self, subject: str, pair: ComparedPair) -> Iterator[Finding]:
        text, allowed = answer_text(pair), self._settings.pairs_per_answer
        same = self._answers.same(subject, text)
        if len(same) >= allowed:
            yield Finding("repeated_answer", f"{len(same)} pairs answer the same, the first is {same[0]}.", same[0])
        elif near := self._answers.near(subject, text, allowed - len(same)):
            pair_id, other, similarity = near
            explanation = (
                f"{allowed} pairs answer the same or nearly so; that of pair {pair_id} is {similarity:.0%} the same: "
                f"{other!r}."
            )
            yield Finding("repeated_answer", explanation, pair_id)
        elif alike := _near(self._answer_embeddings, subject, self._embeddings.answer(pair), allowed):
            pair_id, cosine = alike
            explanation = (
                f"{allowed} pairs say the same in other words; the cosine with pair {pair_id} is {cosine:.3f}."
            )
            yield Finding("same_meaning_answer", explanation, pair_id)

    def _repeated_image(self, subject: str, pair: ComparedPair) -> Iterator[Finding]:
        one = _is_about_one(pair)
        if (same := self._bytes.get(bytes_key(pair))) is not None:
            what = "picture is byte for byte that" if one else "pictures are byte for byte those"
            yield Finding("duplicate_image", f"The {what} of pair {same}.", same)
        elif (alike := self._perceptual_hashes.nearest(subject, " ".join(perceptual_hashes_of(pair)))) is not None:
            pair_id, bits = alike
            what = "picture looks like that" if one else "pictures look like those"
            yield Finding("duplicate_image", f"The {what} of pair {pair_id}: {bits} of 64 bits differ.", pair_id)
        elif shown := self._near_images(subject, self._embeddings.images(pair)):
            pair_id, cosine = shown
            what = "picture shows what that" if one else "pictures show what those"
            explanation = f"The {what} of pair {pair_id} {'does' if one else 'do'}: their cosine is {cosine:.3f}."
            yield Finding("lookalike_image", explanation, pair_id)

    def _near_images(self, subject: str, vectors: Sequence[Vector]) -> tuple[str, float] | None:
        """The kept pair with an image near each of these, and the smallest cosine similarity; the nearest such pair."""
        near = [dict(reversed(self._image_embeddings.near(subject, vector))) for vector in vectors]
        shared = [pair_id for pair_id in reversed(near[0]) if all(pair_id in others for others in near)] if near else []
        weakest = {pair_id: min(others[pair_id] for others in near) for pair_id in shared}
        return max(weakest.items(), key=lambda found: found[1]) if weakest else None


def _is_about_one(pair: ComparedPair) -> bool:
    return len(pair["image_ids"]) == 1


def _show_different_things(one: str, other: str) -> bool:
    """Whether one of the prompts has another word in the place of one of its counterpart's."""
    return any(map(swaps_a_word, one.split("\n"), other.split("\n")))


class _Repeats:
    def __init__(self, threshold: float) -> None:
        self._pairs: dict[tuple[str, str], list[str]] = {}
        self._near = NearTexts(threshold)

    def expect(self, texts: Sequence[tuple[str, str]]) -> None:
        self._near.expect(texts)

    def add(self, group: str, text: str, pair_id: str) -> None:
        self._near.near(group, text)
        self._pairs.setdefault((group, text), []).append(pair_id)

    def same(self, group: str, text: str) -> list[str]:
        return self._pairs.get((group, text), [])

    def near(
        self, group: str, text: str, at_least: int, differ: Callable[[str, str], bool] = lambda one, other: False
    ) -> tuple[str, str, float] | None:
        """The nearest other kept text with its first pair and similarity, if at least ``at_least`` kept pairs are near.

        Texts for which ``differ`` returns true do not count as near.
        """
        kept = [
            (similarity, other)
            for other, similarity in self._near.near(group, text)
            if self.same(group, other) and not differ(text, other)
        ]
        if not kept or sum(len(self.same(group, other)) for _, other in kept) < at_least:
            return None
        similarity, nearest = max(kept)
        return self.same(group, nearest)[0], nearest, similarity


def _add(index: NearVectors, group: str, vector: Vector | None, pair_id: str) -> None:
    if vector is not None:
        index.add(group, vector, pair_id)


def _near(index: NearVectors, group: str, vector: Vector | None, at_least: int) -> tuple[str, float] | None:
    """The nearest kept pair and its cosine similarity, if at least ``at_least`` kept pairs are near."""
    near = [] if vector is None else index.near(group, vector)
    return near[0] if len(near) >= at_least else None
