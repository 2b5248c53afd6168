"""A server that answers as a good model does, and a studio whose author asks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stablellava_assets_tests.authors.chat.studio import Studio
from stablellava_assets_tests.fakes.chat_model import write
from stablellava_assets_tests.fakes.loopback import Counts, Script, loopback


@pytest.fixture
def serving() -> Iterator[tuple[str, Counts]]:
    """Address of the server, and what it sees."""
    with loopback(Script(), write) as served:
        yield served


@pytest.fixture
def studio(tmp_path: Path, serving: tuple[str, Counts]) -> Studio:
    """An empty data folder."""
    return Studio(tmp_path / "studio", serving[0])


@pytest.fixture
def counts(serving: tuple[str, Counts]) -> Counts:
    """What the server sees."""
    return serving[1]
