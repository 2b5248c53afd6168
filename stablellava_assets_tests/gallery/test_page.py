"""The gallery as people see it: opened as a file in headless Chromium, filtered, scrolled, decided about."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stablellava_assets.filters.review.reviews import Review, read_reviews
from stablellava_assets_tests.browsing import CONTRAST, chromium
from stablellava_assets_tests.filters.pairs import of_group
from stablellava_assets_tests.gallery.galleries import gallery_of, many_pairs
from stablellava_assets_tests.published_pairs import animal, publish

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = "</script><img src=x onerror=\"document.title='broken'\"><b>bold</b> &amp; \u2028 ${1} `😀"

KEEP_AT_THE_END = """
    const end = () => scrollTo(0, document.body.scrollHeight);
    new MutationObserver(end).observe(document.getElementById("cards"), { childList: true });
    end();
"""
"""Scrolls to the end whenever cards are added, before the next frame: faster than any hand."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


class Visit:
    """An open page, what it asked for, and what went wrong on it."""

    def __init__(self, page: Page, path: Path, address: str = "") -> None:
        self.page = page
        self.asked: list[str] = []
        self.wrong: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.goto(path.as_uri() + address)
        page.locator("#status[data-complete=true]").wait_for()

    def ids(self) -> list[str]:
        cards = self.page.locator("article").all()
        return [str(card.get_attribute("id")).removeprefix("pair-") for card in cards]

    @property
    def status(self) -> str:
        return self.page.inner_text("#status")

    def choose(self, verdict: str) -> None:
        self.page.get_by_role("button", name=verdict, exact=True).click()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Any]:
    contexts = []

    def open_page(path: Path, address: str = "", **options: Any) -> Visit:
        context = browser.new_context(**options)
        contexts.append(context)
        return Visit(context.new_page(), path, address)

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two abilities: kept, rejected for two reasons, borderline, and decided about."""
    folder = tmp_path_factory.mktemp("gallery")
    tags = ", ".join(f"tag {number}" for number in range(14))
    store = publish(
        folder / "tables",
        [
            animal("koala"),
            animal("owl", answer="A tram stops."),
            animal("lynx", prompt=f"((lynx)), {tags}"),
            animal("heron", answer=""),
        ],
        {"heron": Review(pair_id="heron", decision="keep", reviewer="Ada", note="silence is right")},
    )
    plants = [animal("fern"), animal("moss", answer="A tram stops.")]
    for pair in plants:
        pair.dialogue["ability"] = "plant"
    publish(folder / "tables", plants, partition=("plant", "0001"))
    gallery = gallery_of(store, folder / "page")
    gallery.publish()
    return Path(gallery.page)


def test_it_says_what_is_shown_and_shows_it(page_path: Path, visit: Any) -> None:
    seen = visit(page_path)
    assert seen.page.inner_text("#extent") == "All 6 pairs are shown: 4 were kept and 2 rejected, in 2 batches."
    assert seen.status == "6 pairs match"
    assert seen.ids() == ["heron", "koala", "lynx", "owl", "fern", "moss"]
    card = seen.page.locator("#pair-owl")
    for text in ("rejected", "What is going on here?", "A tram stops.", "subject_not_named No word of the answer"):
        assert text in card.inner_text()
    card.locator("summary").click()
    assert "answer_words: 3 (at most 120)" in card.inner_text()
    seen.page.wait_for_load_state("networkidle")
    assert seen.page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth === 24)")
    assert seen.wrong == []


def test_several_images_stand_side_by_side_with_their_numbers(tmp_path: Path, visit: Any) -> None:
    turns = ["<image>\nIs it a koala?", "Yes, a koala.", "And now?\n<image>", "Now it is an owl, no koala."]
    pair = of_group("pair", animal("koala"), animal("owl"), turns=turns, kind="multi_turn", expected=None)
    gallery = gallery_of(publish(tmp_path / "tables", [pair, animal("lynx")]), tmp_path / "page")
    gallery.publish()
    seen = visit(Path(gallery.page))
    card = seen.page.locator("#pair-pair")
    assert card.locator("figcaption").all_inner_texts() == ["1", "2"]
    assert card.locator(".image-mark").all_inner_texts() == ["image 1", "image 2"]
    assert [each.get_attribute("alt") for each in card.locator("img").all()] == ["((koala)), meadow", "((owl)), meadow"]
    first, second = (each.bounding_box() for each in card.locator("img").all())
    assert (first["y"], first["x"] < second["x"]) == (second["y"], True)
    card.locator("summary").click()
    assert card.locator("details p").all_inner_texts()[:2] == ["1: ((koala)), meadow", "2: ((owl)), meadow"]
    assert seen.page.locator("#pair-lynx figcaption").count() == 0
    seen.page.locator("#words").fill("owl")
    assert seen.ids() == ["pair"]
    assert seen.wrong == []


def test_nothing_is_asked_of_any_server(page_path: Path, visit: Any) -> None:
    seen = visit(page_path)
    assert {url.split(":")[0] for url in seen.asked} == {"file"}
    assert {url.split("?")[0].removeprefix(page_path.parent.as_uri())[:1] for url in seen.asked} == {"/"}


@pytest.mark.parametrize(
    ("verdict", "shown"),
    [
        ("Kept", ["heron", "koala", "lynx", "fern"]),
        ("Rejected", ["owl", "moss"]),
        ("Borderline", ["lynx"]),
        ("Reviewed", ["heron"]),
        ("Decided here", []),
    ],
)
def test_pairs_are_filtered_by_verdict(page_path: Path, visit: Any, verdict: str, shown: list[str]) -> None:
    seen = visit(page_path)
    seen.choose(verdict)
    assert seen.ids() == shown
    assert seen.status.startswith(str(len(shown)))


def test_filters_go_together_and_the_address_keeps_them(page_path: Path, visit: Any) -> None:
    seen = visit(page_path)
    assert seen.page.locator("#reason option").all_inner_texts() == [
        "any",
        "subject_not_named (2)",
        "kept_by_review (1)",
        "overruled empty_answer (1)",
        "overruled subject_not_named (1)",
    ]
    seen.page.select_option("#reason", "subject_not_named")
    assert seen.ids() == ["owl", "moss"]
    seen.page.select_option("#ability", "plant")
    assert seen.ids() == ["moss"]
    again = visit(page_path, seen.page.url.removeprefix(page_path.as_uri()))
    assert again.ids() == ["moss"]
    again.page.select_option("#ability", "")
    again.page.fill("#words", "OWL")
    assert again.ids() == ["owl"]


def test_an_address_that_names_what_is_not_there_shows_everything(page_path: Path, visit: Any) -> None:
    assert len(visit(page_path, "#ability=dinosaur&verdict=none").ids()) == 6


def test_an_overruled_pair_says_so(page_path: Path, visit: Any) -> None:
    text = visit(page_path).page.inner_text("#pair-heron")
    assert "overruled" in text
    assert "kept_by_review Ada decided so: silence is right" in text


def test_a_repeated_pair_is_one_click_away(tmp_path: Path, visit: Any) -> None:
    koala = {"prompt": "((koala)), meadow", "subject": "koala"}
    pairs = [animal("earlier", answer="A koala rests.", **koala), animal("later", answer="It is a koala.", **koala)]
    gallery = gallery_of(publish(tmp_path / "tables", pairs), tmp_path / "page")
    gallery.publish()
    seen = visit(Path(gallery.page), "#verdict=rejected")
    seen.page.locator("summary").click()
    seen.page.get_by_role("link", name="earlier").click()
    assert seen.ids() == ["earlier"]


def test_hostile_text_stays_text(tmp_path: Path, visit: Any) -> None:
    hostile = animal(
        "koala", answer=HOSTILE, prompt=f"((koala)), {HOSTILE}", question=f"<image>\n{HOSTILE}", expected=HOSTILE
    )
    decision = Review(pair_id="koala", decision="reject", reviewer=HOSTILE, note=HOSTILE)
    gallery = gallery_of(publish(tmp_path / "tables", [hostile], {"koala": decision}), tmp_path / "page")
    gallery.publish()
    seen = visit(Path(gallery.page))
    seen.page.locator("summary").first.click()
    text = seen.page.inner_text("#pair-koala")
    assert text.count("<img src=x onerror=\"document.title='broken'\"><b>bold</b> &amp;") >= 4
    assert seen.page.title() == "Gallery of pairs"
    assert seen.page.locator("article b:text('bold'), article script, article img[src='x']").count() == 0
    assert seen.wrong == []


def test_decisions_are_kept_and_downloaded_in_the_format_the_filters_read(
    page_path: Path, visit: Any, tmp_path: Path
) -> None:
    seen = visit(page_path)
    assert not seen.page.is_visible("#download")
    seen.page.locator("#pair-owl").get_by_role("button", name="Keep").click()
    seen.page.locator("#pair-owl").get_by_label("Note").fill('clear, "and" right')
    seen.page.locator("#pair-koala").get_by_role("button", name="Reject").click()
    seen.page.locator("#pair-lynx").get_by_role("button", name="Reject").click()
    seen.page.locator("#pair-lynx").get_by_role("button", name="Reject").click()
    assert seen.page.inner_text("#decided") == "2 decisions"
    seen.page.click("#download")
    assert "enter your name" in seen.page.inner_text("#told")
    seen.page.fill("#reviewer", "Ada")
    seen.page.reload()
    seen.page.wait_for_selector("#pair-owl")
    seen.choose("Decided here")
    assert seen.ids() == ["koala", "owl"]
    with seen.page.expect_download() as downloading:
        seen.page.click("#download")
    path = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(path)
    assert read_reviews([path]) == {
        "owl": Review(pair_id="owl", decision="keep", reviewer="Ada", note='clear, "and" right'),
        "koala": Review(pair_id="koala", decision="reject", reviewer="Ada"),
    }
    seen.page.on("dialog", lambda dialog: dialog.accept())
    seen.page.click("#forget")
    assert seen.ids() == []
    assert seen.wrong == []


def test_decisions_of_two_projects_are_kept_apart_and_outlive_a_new_publication(tmp_path: Path, visit: Any) -> None:
    """Two checkouts make pairs of the same ids; all pages that are opened as files share the browser's storage."""
    galleries = []
    for name in ("first", "second"):
        store = publish(tmp_path / name / "tables", [animal("koala"), animal("owl")])
        galleries.append(gallery_of(store, tmp_path / name / "page"))
        galleries[-1].publish()
    first, second = galleries
    seen = visit(Path(first.page))
    seen.page.locator("#pair-owl").get_by_role("button", name="Reject").click()
    seen.page.fill("#reviewer", "Ada")
    context = seen.page.context
    other = Visit(context.new_page(), Path(second.page))
    other.choose("Decided here")
    assert other.ids() == []
    assert not other.page.is_visible("#download")
    assert other.page.input_value("#reviewer") == "Ada"
    other.choose("All")
    other.page.locator("#pair-koala").get_by_role("button", name="Keep").click()

    store = publish(tmp_path / "first/tables", [animal("koala"), animal("owl"), animal("lynx")])
    first.publish()
    everything = gallery_of(store, tmp_path / "elsewhere", every_pair=True)
    everything.publish()
    for page in (Path(first.page), Path(everything.page)):
        again = Visit(context.new_page(), page, "#verdict=mine")
        assert again.page.inner_text("#decided") == "1 decision"
        assert again.ids() == ["owl"]
        assert again.wrong == []


def test_a_phone_shows_it_without_scrolling_sideways(page_path: Path, visit: Any) -> None:
    seen = visit(page_path, viewport={"width": 360, "height": 740})
    seen.page.locator("#pair-owl").get_by_role("button", name="Keep").click()
    seen.page.locator("summary").first.click()
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert seen.page.evaluate("document.querySelector('#pair-owl .decide').getBoundingClientRect().right <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page_path: Path, visit: Any, scheme: str) -> None:
    """At least 4.5 to 1, the contrast WCAG 2 asks of text."""
    seen = visit(page_path, color_scheme=scheme)
    for selector in (
        "p.human",
        "p.gpt",
        ".badge",
        ".rejected .badge",
        ".mark",
        "li b",
        "li.note b",
        "summary",
        "#status",
    ):
        ratio = seen.page.evaluate(CONTRAST, selector)
        assert ratio >= 4.5, f"{selector}: {ratio:.2f}"


def test_ten_thousand_pairs_are_there_in_seconds_and_drawn_as_needed(tmp_path: Path, visit: Any) -> None:
    gallery = gallery_of(many_pairs(tmp_path / "tables", 10_000), tmp_path / "page", every_pair=True)
    gallery.publish()
    began = time.monotonic()
    seen = visit(Path(gallery.page))
    assert time.monotonic() - began < 15
    assert seen.status == "10,000 pairs match"
    assert len(seen.ids()) < 200
    assert sum(url.endswith(".png") for url in seen.asked) < 200
    seen.choose("Rejected")
    assert seen.status == "1,000 pairs match"
    seen.page.select_option("#ability", "plant")
    assert seen.status == "250 pairs match"
    seen.page.evaluate(KEEP_AT_THE_END)
    seen.page.locator("article").nth(249).wait_for()
    assert len(seen.ids()) == 250
    seen.page.wait_for_function("[...document.images].at(-1).naturalWidth === 12")
    assert seen.wrong == []


def test_a_sample_says_how_much_it_leaves_out(tmp_path: Path, visit: Any) -> None:
    gallery = gallery_of(many_pairs(tmp_path / "tables", 320), tmp_path / "page", pairs_per_batch=20)
    gallery.publish()
    seen = visit(Path(gallery.page))
    assert seen.page.inner_text("#extent").startswith(
        "80 of 320 pairs are shown: at most 20 per batch, including every reason and note and all pairs with human "
        "decisions. Of all pairs, 288 were kept and 32 rejected, in 4 batches."
    )
    assert "repeated_prompt (32)" in seen.page.locator("#reason option").all_inner_texts()


def test_a_sample_says_how_many_reasons_it_has_no_room_for(tmp_path: Path, visit: Any) -> None:
    tags = ", ".join(f"tag {number}" for number in range(16))
    pairs = [
        *(animal(name) for name in ("koala", "lynx")),
        animal("heron", answer=""),
        animal("owl", answer="A tram stops."),
        animal("gecko", prompt=f"((gecko)), {tags}"),
    ]
    store = publish(tmp_path / "tables", pairs)
    for count, said in ((1, "2 of 3 reasons and notes"), (2, "every reason and note")):
        gallery = gallery_of(store, tmp_path / "page", pairs_per_batch=count)
        gallery.publish()
        seen = visit(Path(gallery.page))
        assert f"at most {count} per batch, including {said} and all" in seen.page.inner_text("#extent")
        labels = seen.page.locator("#reason option").all_inner_texts()
        assert sum("(0 of" in label for label in labels) == 2 - count


def test_a_batch_that_is_gone_is_named(tmp_path: Path, visit: Any) -> None:
    gallery = gallery_of(many_pairs(tmp_path / "tables", 64), tmp_path / "page")
    gallery.publish()
    next((tmp_path / "page/batches").glob("food-*/pairs.js")).unlink()
    seen = visit(Path(gallery.page))
    assert seen.status == "48 pairs match; failed to load, reload the page: food|0001"
