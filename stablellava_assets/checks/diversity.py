"""How many different prompts a batch really holds: a model that has collapsed puts the same keywords together in other orders."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

_FEWEST = 50
"""Prompts from which diversity can be told: the score is never above their number."""

_SAMPLE = 256
"""Prompts that are looked at, spread over the batch; the score of a batch and of such a part hardly differ."""


def vendi_score(prompts: Iterable[str | None]) -> float | None:
    """The Vendi score (Friedman and Dieng, 2023) of prompts: the effective number of different ones.

    The exponential of the entropy of the eigenvalues of K / n, where K holds the cosine similarities of the prompts'
    sets of keywords. 1 is one prompt again and again; n are prompts that share no keyword. None for fewer than 50.
    """
    keywords = [found for prompt in prompts if prompt and (found := _keywords(prompt))]
    if len(keywords) < _FEWEST:
        return None
    places = np.linspace(0, len(keywords) - 1, min(_SAMPLE, len(keywords))).astype(int)
    sample = [keywords[place] for place in places]
    column = {word: number for number, word in enumerate(sorted({word for words in sample for word in words}))}
    holds = np.zeros((len(sample), len(column)))
    for row, words in enumerate(sample):
        holds[row, [column[word] for word in words]] = len(words) ** -0.5
    # Both products have the same eigenvalues above zero; the smaller one is as good.
    kernel = holds @ holds.T if len(sample) < len(column) else holds.T @ holds
    eigenvalues = np.linalg.eigvalsh(kernel / len(sample))
    above = eigenvalues[eigenvalues > 1e-12]
    return max(1.0, float(np.exp(-(above * np.log(above)).sum())))


def _keywords(prompt: str) -> set[str]:
    return {keyword for part in prompt.casefold().split(",") if (keyword := part.strip(" ()."))}
