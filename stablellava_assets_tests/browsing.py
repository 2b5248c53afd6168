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


CONTRAST = """
(selector) => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const text = document.querySelector(selector);
  let under = text;
  while (getComputedStyle(under).backgroundColor === "rgba(0, 0, 0, 0)") under = under.parentElement;
  const style = getComputedStyle(text);
  const ink = !(text instanceof SVGElement) ? style.color : style.fill === "none" || text.matches("line") ? style.stroke : style.fill;
  const both = [light(ink), light(getComputedStyle(under).backgroundColor)].sort((a, b) => b - a);
  return (both[0] + 0.05) / (both[1] + 0.05);
}
"""
"""The contrast of a selector's text, area or line and its ground, as WCAG 2 defines it,
1 to 21; for ``Page.evaluate``."""


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
