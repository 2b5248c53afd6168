"""Pictures in the forms in which image endpoints of all makes send them, and what is asked for
again when a setting is mended."""

from __future__ import annotations

import base64
import textwrap
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets.painters.api import painter as api
from stablellava_assets.tables.journal import RowJournal
from stablellava_assets.tables.rows import Refreshed
from stablellava_assets.tables.schemas import IMAGES
from stablellava_assets_tests.fakes.image_server import picture_of
from stablellava_assets_tests.fakes.raw_server import Sent, raw_server
from stablellava_assets_tests.painters.specs import spec
from stablellava_assets_tests.painters.test_api import PRICE, painted_by, painter_of, spending
from stablellava_assets_tests.tables.refreshing import refresh

JPEG = picture_of({"size": "48x32"})
PLAIN = base64.b64encode(JPEG).decode()
BROKEN = "\n".join(textwrap.wrap(PLAIN, 76))
URL_SAFE = base64.urlsafe_b64encode(JPEG).decode()
PICTURES: dict[str, Any] = {
    "a data URI": {"data": [{"b64_json": f"data:image/jpeg;base64,{PLAIN}"}]},
    "a data URI for the address": {"data": [{"url": f"data:image/jpeg;base64,{PLAIN}"}]},
    "line breaks": {"data": [{"b64_json": BROKEN}]},
    "line breaks as on Windows": {"data": [{"b64_json": BROKEN.replace("\n", "\r\n")}]},
    "the alphabet of addresses": {"data": [{"b64_json": URL_SAFE}]},
    "no padding": {"data": [{"b64_json": URL_SAFE.rstrip("=")}]},
    "both": {"data": [{"b64_json": PLAIN, "url": "https://files.example/x.jpg"}]},
    "two of them": {"data": [{"b64_json": PLAIN}, {"b64_json": PLAIN}]},
    "a list of texts": {"images": [PLAIN]},
    "a list of data URIs": {"images": [{"url": f"data:image/jpeg;base64,{PLAIN}"}]},
    "one text": {"image": PLAIN},
    "percent signs": {
        "data": [{"url": f"data:image/jpeg;base64,{PLAIN.replace('+', '%2b').replace('/', '%2f').replace('=', '%3d')}"}]
    },
    "line breaks as JSON writes them": {"data": [{"b64_json": BROKEN.replace("\n", "\\n")}]},
    "quotation marks": {"data": [{"b64_json": f'"{PLAIN}"'}]},
    "none, then one": {"data": [{"b64_json": None}, {"b64_json": PLAIN}]},
    "usage that is null": {"data": [{"b64_json": PLAIN}], "usage": None, "model": None},
    "usage as text": {"data": [{"b64_json": PLAIN}], "usage": {"prompt_tokens": "5", "completion_tokens": "9.0"}},
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_read_in_whatever_form(tmp_path: Path, name: str) -> None:
    with raw_server(lambda body, number: (200, PICTURES[name])) as (url, bodies):
        (row,) = painted_by(painter_of(tmp_path, url), spec("koala"))
    assert row["status"] == "made", row["reason"]
    assert (row["width"], row["height"], len(bodies)) == (48, 32, 1)


BLOCKED = {"code": "moderation_blocked", "message": "rejected by the safety system"}


@pytest.mark.parametrize(
    ("sent", "status", "fault", "words"),
    [
        ((400, {"error": BLOCKED}), "failed", "row", "rejected by the safety system"),
        ((200, {"data": [{"error": BLOCKED}]}), "failed", "row", "rejected by the safety system"),
        ((200, {"data": [{"b64_json": None, "revised_prompt": "x"}]}), "failed", "setting", "holds no picture"),
        (
            (200, {"data": [{"content_filter_results": {"violence": {"filtered": True}}}]}),
            "failed",
            "row",
            "(violence)",
        ),
        ((200, {"data": []}), "deferred", "endpoint", "not JSON with a picture"),
        ((200, {"error": {"code": 503, "message": "loading"}}), "deferred", "endpoint", "loading"),
        ((200, {"data": [{"b64_json": "bm8gcGljdHVyZQ=="}]}), "failed", "setting", "is no picture"),
        ((200, {"data": [{"b64_json": "???"}]}), "failed", "setting", "is no picture"),
    ],
)
def test_why_there_is_no_picture(tmp_path: Path, sent: Sent, status: str, fault: str, words: str) -> None:
    with raw_server(lambda body, number: sent) as (url, _):
        painter = painter_of(tmp_path, url, endpoint={"attempts": 2}, retries=0)
        (row,) = painted_by(painter, spec("koala"))
    assert (row["status"], row["fault"]) == (status, fault)
    assert words in row["reason"]


def brought_up_to_date(tmp_path: Path, url: str, **changes: Any) -> Refreshed:
    painter = painter_of(tmp_path, url, **changes)
    planned = painter.plan([spec(name) for name in ("koala", "owl", "lynx")])
    with RowJournal(tmp_path, IMAGES, ("animal", "0001")) as journal:
        return refresh(IMAGES, planned, None, journal, painter.paint, "run", print)


def test_a_field_that_the_endpoint_does_not_know_stops_the_stage_and_without_it_all_is_painted(tmp_path: Path) -> None:
    def respond(body: dict[str, Any], number: int) -> Sent:
        if "response_format" in body:
            return 400, {"error": {"message": "Unknown parameter: 'response_format'."}}
        return 200, {"data": [{"b64_json": PLAIN}]}

    with raw_server(respond) as (url, _):
        with pytest.raises(
            EndpointError, match=r"Unknown parameter: 'response_format'.*painter's settings: response_format"
        ):
            brought_up_to_date(tmp_path, url, response_format="b64_json")
        assert brought_up_to_date(tmp_path, url).failed == 0


def test_an_answer_without_a_picture_is_asked_for_again_once_a_setting_is_mended(tmp_path: Path) -> None:
    nothing = {"data": [{"b64_json": None, "url": None}]}
    with raw_server(lambda body, number: (200, nothing if number < 3 else PICTURES["both"])) as (url, bodies):
        assert brought_up_to_date(tmp_path, url).failed == 3
        assert brought_up_to_date(tmp_path, url).computed == 0
        again = brought_up_to_date(tmp_path, url, picture_tokens=9000)
    assert (again.computed, again.failed, len(bodies)) == (3, 0, 6)


def test_pictures_that_only_had_to_be_read_otherwise_are_not_paid_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw_server(lambda body, number: (200, PICTURES["line breaks"])) as (url, bodies):
        with monkeypatch.context() as earlier:
            earlier.setattr(api, "picture_bytes", lambda text: base64.b64decode(text, validate=True))
            earlier.setattr(api, "picture_reader_key", lambda: "an earlier version")
            assert brought_up_to_date(tmp_path, url, retries=0).failed == 3
        sent = len(bodies)
        again = brought_up_to_date(tmp_path, url, retries=0)
    assert (again.computed, again.failed) == (3, 0)
    assert len(bodies) == sent == 3
    assert spending(tmp_path) == 3 * PRICE


def test_more_tries_are_tried_where_a_bad_picture_had_used_them_up(tmp_path: Path) -> None:
    bad = {"data": [{"b64_json": "bm8gcGljdHVyZQ=="}]}
    with raw_server(lambda body, number: (200, bad if number < 3 else PICTURES["both"])) as (url, bodies):
        assert brought_up_to_date(tmp_path, url, retries=0).failed == 3
        assert brought_up_to_date(tmp_path, url, retries=0).computed == 0
        assert brought_up_to_date(tmp_path, url, retries=1).failed == 0
    assert len(bodies) == 6
