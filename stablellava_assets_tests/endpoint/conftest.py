"""A key for the endpoints of these tests."""

from __future__ import annotations

import pytest

from stablellava_assets_tests.endpoint.questions import KEY


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
