"""Diversity of the prompts of a batch: a collapsed model recombines the same few keywords."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

_FEWEST = 50
"""Minimum number of prompts to measure diversity, since the score cannot exceed their number."""

_SAMPLE = 256
"""Number of prompts that are compared, evenly spaced; the score of a batch and of such a sample hardly differ."""


def vendi_score(prompts: Iterable[str | None]) -> float | None:
    """The Vendi score (Friedman and Dieng, 2023) of prompts: the effective number of different ones.

    The exponential of the entropy of the eigenvalues of K / n, where K holds the cosine similarities of the prompts'
    keyword sets. It is 1 if all prompts are equal and n if no two share a keyword. None for fewer than 50 prompts.
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
    # Both products have the same non-zero eigenvalues, so the smaller one is used.
    kernel = holds @ holds.T if len(sample) < len(column) else holds.T @ holds
    eigenvalues = np.linalg.eigvalsh(kernel / len(sample))
    above = eigenvalues[eigenvalues > 1e-12]
    return max(1.0, float(np.exp(-(above * np.log(above)).sum())))


def _keywords(prompt: str) -> set[str]:
    return {keyword for part in prompt.casefold().split(",") if (keyword := part.strip(" ()."))}
