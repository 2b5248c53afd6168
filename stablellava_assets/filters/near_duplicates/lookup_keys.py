"""Blocking keys: two pairs that could repeat each other share at least one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stablellava_assets.filters.candidates import (
    answer_text,
    bytes_key,
    perceptual_hashes_of,
    prompt_text,
    question_key,
    spec_key,
    subject_key,
)
from stablellava_assets.filters.near_duplicates.minhash import MinHashBands, mixed, salt_of
from stablellava_assets.filters.near_duplicates.near_images import slices_of
from stablellava_assets.filters.settings import DuplicateSettings
from stablellava_assets.tables.pair_rows import ComparedPair

Keys = NDArray[np.int64]
"""Keys of several pairs, shape (keys, 2): the key and the position of its pair."""


def lookup_keys(pairs: Sequence[ComparedPair], settings: DuplicateSettings) -> Keys:
    """The keys of ``pairs``, rows with at least ``EARLIER_COLUMNS``.

    The keys of a prompt and its image belong to the first pair of their spec, as in ``KeptPairs``.
    """
    first_of_spec: dict[str, int] = {}
    for position, pair in enumerate(pairs):
        first_of_spec.setdefault(spec_key(pair), position)
    specs = list(first_of_spec.values())
    open_pairs = [position for position, pair in enumerate(pairs) if pair["expected"] is None]
    subjects = [subject_key(pair) for pair in pairs]
    hashes = [(at, perceptual_hash) for at in specs for perceptual_hash in perceptual_hashes_of(pairs[at])]
    parts = [
        _texts("prompt", specs, subjects, [prompt_text(pairs[at]) for at in specs], settings.near_prompt),
        _texts("answer", open_pairs, subjects, [answer_text(pairs[at]) for at in open_pairs], settings.near_answer),
        _hashed([("spec", spec, at) for spec, at in first_of_spec.items()]),
        _hashed([("asked", "\0".join(question_key(pair)), at) for at, pair in enumerate(pairs)]),
        _hashed([("bytes", bytes_key(pairs[at]), at) for at in specs]),
        _slices([at for at, _ in hashes], subjects, [each for _, each in hashes], settings.image_bits),
    ]
    return np.concatenate(parts)


def _texts(kind: str, positions: Sequence[int], subjects: Sequence[str], texts: Sequence[str], near: float) -> Keys:
    if near >= 1:
        return _hashed([(f"{kind} {subjects[at]}", text, at) for at, text in zip(positions, texts, strict=True)])
    bands = MinHashBands(near)
    keys = bands.keys([f"{kind} {subjects[at]}" for at in positions], texts).view(np.int64)
    owners = np.repeat(np.array(positions, np.int64), bands.count)
    return np.stack([keys.reshape(-1), owners], axis=1)


def _slices(positions: Sequence[int], subjects: Sequence[str], hashes: Sequence[str], bits: int) -> Keys:
    """Keys of the slices of perceptual hashes."""
    if not positions:
        return np.empty((0, 2), np.int64)
    slices = np.array([slices_of(text, bits) for text in hashes], np.uint64)
    salts = np.array([salt_of(f"looks {subjects[at]}") for at in positions], np.uint64)
    numbers = np.arange(slices.shape[1], dtype=np.uint64)
    keys = mixed(mixed(slices ^ salts[:, None]) ^ numbers).view(np.int64)
    return np.stack([keys.reshape(-1), np.repeat(np.array(positions, np.int64), slices.shape[1])], axis=1)


def _hashed(items: Sequence[tuple[str, str, int]]) -> Keys:
    keys = [(_number(f"{kind}\0{text}"), position) for kind, text, position in items]
    return np.array(keys, np.int64).reshape(-1, 2)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)
