"""The report as people see it: opened as a file in headless Chromium, on a desk, on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stablellava_assets.report.folder import Report
from stablellava_assets.report.settings import ReportSettings
from stablellava_assets_tests.browsing import CONTRAST, chromium
from stablellava_assets_tests.evaluation.suite_files import MMBENCH_CATEGORIES
from stablellava_assets_tests.report.scored import item, mixed_items, scored

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = (
    "</style></script><img src=x onerror=\"document.title='broken'\"><b>bold</b> &amp; {{ 7 * 7 }} \u202e \u2028 😀"
)


LABELS = """
() => {
  const radar = document.querySelector(".radar"), view = radar.viewBox.baseVal;
  const boxes = [...radar.querySelectorAll(".axis-label")].map((label) => label.getBBox());
  const apart = (a, b) => a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
  return {
    labels: boxes.length,
    outside: boxes.filter((box) => box.x < view.x || box.y < view.y || box.x + box.width > view.x + view.width
      || box.y + box.height > view.y + view.height).length,
    overlapping: boxes.filter((box, at) => boxes.slice(at + 1).some((other) => !apart(box, other))).length,
  };
}
"""
TEXT_START = """
(cell) => {
  const text = document.createRange();
  text.selectNodeContents(cell);
  return Math.round(text.getBoundingClientRect().left);
}
"""


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
    assert page.title() == "Gain of tuning: checkpoint c0ffee"
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
    lengths = visit.page.evaluate("""() => [...document.querySelectorAll('.sum svg')].map((svg) =>
             [...svg.querySelectorAll('rect')].map((bar) => bar.getBoundingClientRect().width / svg.clientWidth))""")
    assert lengths[0] == [pytest.approx(13 / 58, abs=0.005), pytest.approx(49 / 58, abs=0.005)]


def test_text_stands_out_from_its_ground(visit: Visit) -> None:
    """At least 4.5 to 1, the contrast WCAG 2 asks of text."""
    for selector in (".faint", "figcaption", "td small", ".better", ".worse", "a", ".bars .axis text"):
        assert visit.page.evaluate(CONTRAST, selector) >= 4.5, selector


def test_charts_stand_out_from_their_ground(visit: Visit) -> None:
    """At least 3 to 1, the contrast WCAG 2 asks of what a chart is read from."""
    for selector in ("rect.fill-base", "rect.fill-tuned", "circle.fill-paper", "line.span", "line.whisker"):
        assert visit.page.evaluate(CONTRAST, selector) >= 3, selector
    for selector in ("polygon.stroke-base", "polygon.stroke-tuned", "path.stroke-paper"):
        assert visit.page.evaluate(CONTRAST, selector) >= 3, selector
    # A whisker is drawn over the bars on a wider line in the colour of the card.
    assert visit.page.evaluate(CONTRAST, "line.halo") == 1
    lines = (
        "[...document.querySelectorAll('.bars svg')].map((bar) => [...bar.querySelectorAll('line:not(.grid, .span)')]"
    )
    order = visit.page.evaluate(f"{lines}.map((line) => line.getAttribute('class'))).slice(0, -1)")
    assert all(classes == [*["halo"] * 3, *["whisker"] * 3] * 2 for classes in order if classes)


@pytest.mark.parametrize(
    ("abilities", "listed"),
    [
        (MMBENCH_CATEGORIES, True),
        ([f"an_ability_of_our_own_{number}" for number in range(22)], True),
        ([f"skill_{number}" for number in range(36)], True),
        (MMBENCH_CATEGORIES[1:8], False),
        (
            ["abnormal", "action", "animal", "clothes", "color", "food", "furniture", "hair", "plant", "profession"],
            False,
        ),
        (["ability", "WWWWWWWWWWWWWWWW", "画像の状況を理解する能力"], True),
    ],
    ids=["mmbench", "own", "most", "seven", "ten", "wide"],
)
def test_labels_of_a_radar_neither_overlap_nor_are_cut(
    browser: Browser, tmp_path: Path, abilities: Sequence[str], listed: bool
) -> None:
    items = [item(place, "a tram", "a koala", ability=ability) for place, ability in enumerate(abilities)]
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(Report(tmp_path / "report", scored(tmp_path / "tables", items), ReportSettings()).publish().as_uri())
    assert page.evaluate(LABELS) == {"labels": len(abilities), "outside": 0, "overlapping": 0}
    names = [ability.replace("_", " ") for ability in sorted(abilities)]
    assert page.locator(".axis-names li").all_inner_texts() == (names if listed else [])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()


def test_too_many_abilities_make_no_radar(browser: Browser, tmp_path: Path) -> None:
    items = [item(number, "a tram", "a koala", ability=f"skill {number}") for number in range(37)]
    page = browser.new_page()
    page.goto(Report(tmp_path / "report", scored(tmp_path / "tables", items), ReportSettings()).publish().as_uri())
    assert page.locator(".radar").count() == 0
    assert page.get_by_text("There are too many abilities for a readable radar.").count() == 1
    page.close()


@pytest.mark.parametrize("width", [320, 390])
def test_a_narrow_phone_shows_whole_tables_and_intervals_in_one_line(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    items = [
        item(number, "a tram", "a koala", ability=ability) for number, ability in enumerate(MMBENCH_CATEGORIES * 2)
    ]
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(Report(tmp_path / "report", scored(tmp_path / "tables", items), ReportSettings()).publish().as_uri())
    for table in ("Table of abilities", "Rows by ability"):
        box = page.get_by_role("region", name=table)
        assert box.evaluate("(box) => box.scrollWidth <= box.clientWidth")
        assert box.get_by_role("row").count() > 1
    lines = "(small) => small.getBoundingClientRect().height / parseFloat(getComputedStyle(small).lineHeight)"
    intervals = page.locator(".stacked td:not(.left) small").all()
    assert len(intervals) == 3 * (len(MMBENCH_CATEGORIES) + 1)
    assert {round(interval.evaluate(lines)) for interval in intervals} == {1}
    # What scrolls can be scrolled from the keyboard.
    assert page.locator(".scroll:not([tabindex='0'][aria-label])").count() == 0
    page.close()


def test_what_is_not_wrong_is_not_red(visit: Visit) -> None:
    assert visit.page.locator(".facts .better").inner_text() != "0"
    assert visit.page.locator(".facts .worse").count() == 0


def test_the_list_has_one_column_of_benchmarks(browser: Browser, tmp_path: Path) -> None:
    items = [item(place, "a tram", "a koala", benchmark=name) for place, name in enumerate(("ai", "mmbench", "pope"))]
    report = Report(tmp_path / "report", scored(tmp_path / "tables", items), ReportSettings())
    report.publish()
    page = browser.new_page()
    page.goto(report.index.as_uri())
    starts = [page.get_by_text(name, exact=True).evaluate(TEXT_START) for name in ("ai", "mmbench", "pope")]
    assert len(set(starts)) == 1
    page.close()


def test_the_papers_marker_is_nearest_to_its_own_bars_on_paper(browser: Browser, path: Path) -> None:
    page = browser.new_page()
    page.emulate_media(media="print")
    page.goto(path.as_uri())
    gaps = page.evaluate("""() => {
          const [row, next] = document.querySelectorAll('.bars svg');
          const edges = (shape) => shape.getBoundingClientRect();
          const marker = edges(row.querySelector('.fill-paper'));
          return [marker.top - edges(row.querySelector('.fill-tuned')).bottom, edges(next.querySelector('.fill-base')).top - marker.bottom];
        }""")
    assert 0 < 2 * gaps[0] < gaps[1]
    assert not page.get_by_text("All checkpoints").is_visible()
    for selector in ("code", ".settings", "footer"):
        size = "(selector) => parseFloat(getComputedStyle(document.querySelector(selector)).fontSize)"
        assert page.evaluate(size, selector) <= 11
    page.close()


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
