"""A real browser for tests of pages: headless Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without these, Chromium looks for its maker's servers at every start.
_QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's Chromium or Chrome; where it has none, the one that ``playwright install chromium`` puts there."""
    from playwright.sync_api import sync_playwright

    installed = next((path for path in map(shutil.which, _NAMES) if path), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed, args=list(_QUIET))
        try:
            yield browser
        finally:
            browser.close()
