"""The report as people see it: opened as a file in headless Chromium, on a desk, on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stablellava_assets.report.folder import Report
from stablellava_assets.report.settings import ReportSettings
from stablellava_assets_tests.browsing import CONTRAST, chromium
from stablellava_assets_tests.report.scored import item, mixed_items, scored

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = (
    "</style></script><img src=x onerror=\"document.title='broken'\"><b>bold</b> &amp; {{ 7 * 7 }} \u202e \u2028 😀"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with hostile and endless text among the answers, beside what the paper has figures for."""
    folder = tmp_path_factory.mktemp("report")
    hostile = item(200, HOSTILE, f"{HOSTILE} koala", question=HOSTILE, accepted=["koala", HOSTILE])
    endless = item(201, "a koala", "x" * 5000)
    store = scored(folder / "tables", [*mixed_items(), hostile, endless])
    return Report(folder / "report", store, ReportSettings(examples=60)).publish()


class Visit:
    """An open page, what it asked for, and what went wrong on it."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.asked: list[str] = []
        self.wrong: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.goto(path.as_uri())


@pytest.fixture(params=[(1200, "light"), (390, "dark")], ids=["desk", "phone"])
def visit(request: pytest.FixtureRequest, browser: Browser, path: Path) -> Iterator[Visit]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    yield Visit(context.new_page(), path)
    context.close()


def test_it_fits_the_width_and_shows_its_pictures(visit: Visit) -> None:
    page = visit.page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # Tables of four abilities fit a phone without being scrolled themselves.
    assert page.evaluate("[...document.querySelectorAll('.scroll')].every((box) => box.scrollWidth <= box.clientWidth)")
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth === 24)")
    assert page.evaluate("document.images.length") == 41 + 5
    assert visit.wrong == []


def test_nothing_is_asked_of_anyone(visit: Visit) -> None:
    assert [url for url in visit.asked if not url.startswith("data:")] == [visit.page.url]
    assert visit.page.locator("script, link, iframe").count() == 0


def test_what_models_said_stays_text(visit: Visit) -> None:
    page = visit.page
    assert page.title() == "What tuning bought: checkpoint c0ffee"
    assert page.locator("img[src='x'], .cards b:text-is('bold')").count() == 0
    card = page.locator(".cards li", has_text="onerror").inner_text()
    assert card.count("<img src=x onerror=\"document.title='broken'\"><b>bold</b> &amp; {{ 7 * 7 }}") == 4
    assert "… (4,400 more characters)" in page.locator(".cards.broken").inner_text()


def test_charts_are_told_to_those_who_do_not_see_them(visit: Visit) -> None:
    page = visit.page
    assert page.get_by_role("img", name="animal: base 0.2", exact=False).count() == 1
    assert page.get_by_role("img", name="Radar chart: accuracy").count() == 1
    assert page.evaluate("[...document.images].every((image) => image.alt.length > 20)")
    assert page.evaluate("[...document.querySelectorAll('svg')].every((svg) => svg.ariaLabel || svg.ariaHidden)")
    assert page.get_by_role("row", name="animal").count() >= 2


def test_bars_are_as_long_as_their_numbers(visit: Visit) -> None:
    lengths = visit.page.evaluate(
        """() => [...document.querySelectorAll('.sum svg')].map((svg) =>
             [...svg.querySelectorAll('rect')].map((bar) => bar.getBoundingClientRect().width / svg.clientWidth))"""
    )
    assert lengths[0] == [pytest.approx(13 / 58, abs=0.005), pytest.approx(49 / 58, abs=0.005)]


def test_text_stands_out_from_its_ground(visit: Visit) -> None:
    """At least 4.5 to 1, the contrast WCAG 2 asks of text."""
    for selector in (".faint", "figcaption", "td small", ".better", ".worse", "a", ".bars .axis text"):
        assert visit.page.evaluate(CONTRAST, selector) >= 4.5, selector


def test_it_prints_on_a4_in_dark_ink(browser: Browser, path: Path) -> None:
    context = browser.new_context(color_scheme="dark", viewport={"width": 1200, "height": 800})
    page = context.new_page()
    page.goto(path.as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 28, 26)"
    pdf = page.pdf(prefer_css_page_size=True)
    assert b"/MediaBox [0 0 594.9" in pdf or b"/MediaBox [0 0 595" in pdf
    context.close()
