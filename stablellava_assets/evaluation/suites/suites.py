"""The published benchmarks in a profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from stablellava_assets.evaluation.settings import (
    BlinkSettings,
    MantisEvalSettings,
    MMBenchSettings,
    MMVetSettings,
    MuirBenchSettings,
    PopeSettings,
    SuiteSettings,
)
from stablellava_assets.evaluation.suites.items import SuiteItem
from stablellava_assets.evaluation.suites.mmbench import read_mmbench
from stablellava_assets.evaluation.suites.mmvet import read_mmvet
from stablellava_assets.evaluation.suites.pictures import Pictures, SuiteError
from stablellava_assets.evaluation.suites.pope import read_pope
from stablellava_assets.evaluation.suites.several_pictures import read_several_pictures


def read_suites(suites: Sequence[SuiteSettings]) -> list[SuiteItem]:
    """The items of every configured file, each with its ``max_new_tokens``.

    Raises:
        SuiteError: a file, a row or an image is invalid, a file is empty, or an item is repeated.
    """
    items: dict[str, SuiteItem] = {}
    pictures = Pictures()
    for settings in suites:
        read = read_suite(settings, pictures)
        if not read:
            raise SuiteError(f"{settings.file}: holds no items")
        for item in read:
            if item["item_id"] in items:
                raise SuiteError(f"{settings.file}: an item stands twice: {item['question']!r}")
            items[item["item_id"]] = {**item, "max_new_tokens": settings.max_new_tokens}
    return list(items.values())


def read_suite(settings: SuiteSettings, pictures: Pictures | None = None) -> list[SuiteItem]:
    """The items of one file. ``pictures`` is shared with other files.

    Raises:
        SuiteError: the file, a row or an image is invalid.
    """
    if isinstance(settings, PopeSettings):
        return read_pope(settings.file, settings.images, settings.name, settings.instruction, pictures)
    if isinstance(settings, MMBenchSettings):
        return read_mmbench(settings.file, settings.name, pictures)
    if isinstance(settings, MMVetSettings):
        return read_mmvet(settings.file, settings.images, settings.name, pictures)
    if isinstance(settings, BlinkSettings | MuirBenchSettings | MantisEvalSettings):
        return read_several_pictures(settings, pictures)
    assert_never(settings)
