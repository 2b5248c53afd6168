"""Candidates for the filters, with real pictures."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprints
from stablellava_assets.filters.candidates import Candidate, PaintedPrompt
from stablellava_assets.filters.judge import Judged
from stablellava_assets.filters.judge import judge as judge_with_images
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.tables.encoded_images import EncodedImages
from stablellava_assets.tables.identity import content_key
from stablellava_assets_tests.tables.made_up import Row
from stablellava_assets_tests.verdicts import notes, reasons

NO_BENCHMARK = BenchmarkFingerprints([], 2)


@cache
def noise_png(name: str, side: int = 24) -> bytes:
    """A picture of its own for every name."""
    seed = int(content_key(name)[:8], 16)
    return png(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


def png(pixels: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def candidate(
    name: str = "first",
    *,
    prompt: str = "((koala)), eucalyptus grove, at dawn, 8k",
    subject: str = "koala",
    question: str = "<image>\nWhat is going on here?",
    answer: str = "A koala dozes in a fork of the grove's oldest tree.",
    kind: str = "describe",
    expected: str | None = None,
    picture: bytes | None = None,
    looks: str | None = None,
    side: int = 24,
    spec: str | None = None,
) -> Candidate:
    """A pair called ``name`` about a picture of its own; ``spec`` names the prompt several pairs share."""
    spec_id, encoded = spec or f"spec of {name}", picture if picture is not None else noise_png(spec or name)
    image: Row = {
        "image_id": f"image of {spec_id}",
        "spec_id": spec_id,
        "image": {"bytes": encoded, "path": f"{name}.png"},
        "width": side,
        "height": side,
        "sha256": hashlib.sha256(encoded).hexdigest(),
        "perceptual_hash": looks or content_key(spec_id)[:16],
        "row_key": content_key(spec_id, hashlib.sha256(encoded).hexdigest()),
    }
    dialogue: Row = {
        "pair_id": name,
        "ability": "animal",
        "batch": "0001",
        "spec_ids": [spec_id],
        "image_ids": [image["image_id"]],
        "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}],
        "question_kind": kind,
        "expected": expected,
        "row_key": content_key(name, question, answer, kind, expected),
    }
    written: Row = {
        "spec_id": spec_id,
        "prompt": prompt,
        "subject": subject,
        "facts": [],
        "seed": int(content_key(spec_id)[:12], 16),
        "row_key": content_key(spec_id, prompt, subject),
    }
    return Candidate(dialogue, written, image)


def of_group(
    name: str,
    *members: Candidate,
    question: str = "",
    turns: Sequence[str] = (),
    answer: str = "The first shows a koala, the second an owl.",
    kind: str = "what",
    expected: str | None = "koala | owl",
) -> Candidate:
    """A pair called ``name`` about the pictures of several others, by default with their marks before the question."""
    first, *further = (PaintedPrompt(each.spec, each.image) for each in members)
    asked = question or "<image>\n" * len(members) + "What do the two pictures show?"
    texts = [*turns] or [asked, answer]
    dialogue: Row = {
        **members[0].dialogue,
        "pair_id": name,
        "ability": "difference",
        "spec_ids": [spec_id for each in members for spec_id in each.dialogue["spec_ids"]],
        "image_ids": [each.image["image_id"] for each in members],
        "conversations": [{"from": ("human", "gpt")[number % 2], "value": text} for number, text in enumerate(texts)],
        "question_kind": kind,
        "expected": expected,
        "row_key": content_key(name, texts, kind, expected),
    }
    return Candidate(dialogue, *first, further=tuple(further))


def picture_of(pair: Candidate | PaintedPrompt) -> bytes:
    """The encoded picture of a pair from :func:`candidate`, or of one whose image is a whole row of ``images``."""
    image: Row = {**pair.image}
    picture: bytes = image["image"]["bytes"]
    return picture


def images_of(candidates: Iterable[Candidate]) -> EncodedImages:
    """The pictures of these pairs, in their order."""
    pictures = {each.image["image_id"]: picture_of(each) for pair in candidates for each in pair.painted}
    return lambda wanted: ((image_id, picture) for image_id, picture in pictures.items() if image_id in wanted)


def judge(candidates: Sequence[Candidate], *arguments: Any, **named: Any) -> Judged:
    """What :func:`stablellava_assets.filters.judge.judge` makes of pairs with their own pictures."""
    return judge_with_images(candidates, images_of(candidates), *arguments, **named)


def judged(*candidates: Candidate, settings: FilterSettings | None = None) -> list[Row]:
    """Verdicts with no earlier batch and no benchmark."""
    return judge(candidates, [], NO_BENCHMARK, settings or FilterSettings()).rows


def rules_against(*candidates: Candidate, settings: FilterSettings | None = None) -> list[list[str]]:
    return [reasons(row) for row in judged(*candidates, settings=settings)]


def rules_noted(*candidates: Candidate) -> list[list[str]]:
    return [[note.partition(":")[0] for note in notes(row)] for row in judged(*candidates)]
