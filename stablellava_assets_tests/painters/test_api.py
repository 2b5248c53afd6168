"""The api painter against a real HTTP server, with faults."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets.painters.api.painter import ApiPainter
from stablellava_assets.painters.settings import ApiPainterSettings
from stablellava_assets.tables.pair_rows import PromptToPaint
from stablellava_assets.tables.schemas import IMAGES
from stablellava_assets_tests.fakes.image_server import image_server
from stablellava_assets_tests.painters.specs import spec
from stablellava_assets_tests.painters.test_provenance import IPTC, properties
from stablellava_assets_tests.tables.made_up import Row, but

PRICE = Decimal("0.04")


def painter_of(folder: Path, url: str, *, endpoint: Mapping[str, Any] | None = None, **changes: Any) -> ApiPainter:
    """A painter as a new process makes it, whose pictures cost four cents each."""
    prices = folder / "prices.yaml"
    prices.write_text(yaml.safe_dump({"painter-1": {"input": 0, "output": 0, "picture": float(PRICE)}}))
    asked = {
        "base_url": url,
        "model": "painter-1",
        "api_key_variable": None,
        "prices": str(prices),
        "backoff_s": 0.02,
        "max_backoff_s": 0.2,
        "timeout_s": 20,
        **(endpoint or {}),
    }
    document = {"kind": "api", "endpoint": asked, "width": 48, "height": 32, **changes}
    return ApiPainter(ApiPainterSettings.model_validate(document), folder / "image_ledger.sqlite")


def painted_by(painter: ApiPainter, *specs: PromptToPaint) -> list[Row]:
    rows = {row["spec_id"]: row for row in painter.paint(painter.plan(specs))}
    return [rows[each["spec_id"]] for each in specs]


def spending(folder: Path) -> Decimal:
    ledger = Ledger(folder / "image_ledger.sqlite")
    try:
        return ledger.spending().spent
    finally:
        ledger.close()


def test_a_picture_is_asked_for_without_brackets_and_says_what_made_it(tmp_path: Path) -> None:
    with image_server() as (url, seen):
        painter = painter_of(tmp_path, url, quality="low", seed_field="seed", negative_prompt_field="negative_prompt")
        (row,) = painted_by(painter, but(spec("((koala)), tree", 5, "the id"), negative_prompt="blurry"))
    IMAGES.from_rows([but(row, run_id="a run")])
    assert seen.bodies == [
        {
            "model": "painter-1",
            "prompt": "koala, tree",
            "n": 1,
            "size": "48x32",
            "quality": "low",
            "seed": 5,
            "negative_prompt": "blurry",
        }
    ]
    picture = Image.open(io.BytesIO(row["image"]["bytes"]))
    assert (picture.format, picture.size, row["width"], row["height"]) == ("PNG", (48, 32), 48, 32)
    assert (row["painter"], row["model"], row["seed"], row["steps"]) == ("api", "painter-1", 5, None)
    said = properties(row["image"]["bytes"])
    assert row["digital_source_type"] == "trainedAlgorithmicMedia"
    assert said[f"{IPTC}DigitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert said["{http://purl.org/dc/elements/1.1/}identifier"] == "the id"
    assert spending(tmp_path) == PRICE


def test_a_seed_that_was_not_sent_is_not_claimed(tmp_path: Path) -> None:
    with image_server() as (url, seen):
        (row,) = painted_by(painter_of(tmp_path, url), spec("koala", 5))
    assert row["seed"] is None
    assert set(seen.bodies[0]) == {"model", "prompt", "n", "size"}


def test_faults_are_outlasted_and_every_picture_is_paid_once(tmp_path: Path) -> None:
    faults = {"0": "500", "1": "429", "2": "reset", "3": "503"}

    def fault(body: Mapping[str, Any], arrival: int) -> str | None:
        return faults.get(body["prompt"][-1]) if arrival == 1 else None

    specs = [spec(f"koala {number}") for number in range(40)]
    with image_server(fault, latency_s=0.3) as (url, seen):
        rows = painted_by(painter_of(tmp_path, url), *specs)
        again = painted_by(painter_of(tmp_path, url), *specs)
    assert {row["status"] for row in rows} == {"made"}
    assert len({row["sha256"] for row in rows}) == 40
    assert again == rows, "what the ledger has is not asked for again"
    assert set(seen.answered.values()) == {1}
    assert spending(tmp_path) == 40 * PRICE
    assert seen.most_at_once > 4


def test_what_the_endpoint_refuses_fails_and_says_why(tmp_path: Path) -> None:
    def fault(body: Mapping[str, Any], arrival: int) -> str | None:
        return "400" if "blood" in body["prompt"] else None

    with image_server(fault) as (url, _):
        refused, made = painted_by(painter_of(tmp_path, url), spec("blood"), spec("koala"))
    assert (refused["status"], refused["reason"]) == ("failed", "HTTP 400: scripted 400")
    assert made["status"] == "made"
    IMAGES.from_rows([but(refused, run_id="a run")])
    assert spending(tmp_path) == PRICE


@pytest.mark.parametrize(("wrong", "reason"), [("uniform", "is uniform"), ("no_picture", "is no picture")])
def test_a_bad_picture_is_paid_again_as_often_as_the_profile_says(tmp_path: Path, wrong: str, reason: str) -> None:
    def fault(body: Mapping[str, Any], arrival: int) -> str | None:
        return wrong if body["prompt"] == "never" or (body["prompt"] == "late" and arrival < 3) else None

    with image_server(fault) as (url, seen):
        painter = painter_of(tmp_path, url, retries=2, seed_field="seed")
        late, never = painted_by(painter, spec("late", 5), spec("never", 5))
    assert (late["status"], late["seed"]) == ("made", 7)
    assert never["status"] == "failed"
    assert reason in never["reason"]
    assert "in 3 tries" in never["reason"]
    assert dict(seen.answered) == {"late": 3, "never": 3}
    assert late["cost_usd"] == never["cost_usd"] == float(3 * PRICE)
    assert spending(tmp_path) == 6 * PRICE


def test_a_budget_is_never_exceeded_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    specs = [spec(f"koala {number}") for number in range(10)]
    with image_server() as (url, seen):
        rows = painted_by(painter_of(tmp_path, url, endpoint={"budget_usd": "0.13"}), *specs)
        waiting = [row for row in rows if row["status"] == "deferred"]
        assert len(waiting) == 7
        assert all(row["fault"] == "budget" for row in waiting)
        assert spending(tmp_path) == 3 * PRICE
        assert sorted(row["cost_usd"] for row in rows) == [0.0] * 7 + [float(PRICE)] * 3
        more = painted_by(painter_of(tmp_path, url, endpoint={"budget_usd": "1"}), *specs)
    assert {row["status"] for row in more} == {"made"}
    assert sum(seen.answered.values()) == 10
    assert [row["row_key"] for row in more] == [row["row_key"] for row in rows]


def test_tokens_are_paid_where_pictures_have_no_price(tmp_path: Path) -> None:
    with image_server(usage={"input_tokens": 10, "output_tokens": 1000, "total_tokens": 1010}) as (url, _):
        painter = painter_of(tmp_path, url)
        (tmp_path / "tokens.yaml").write_text("painter-1: {input: 5, output: 40}\n")
        painter = painter_of(tmp_path, url, endpoint={"prices": str(tmp_path / "tokens.yaml")})
        painted_by(painter, spec("koala"))
    assert spending(tmp_path) == Decimal("0.04005")


def test_an_endpoint_that_is_down_defers_its_rows(tmp_path: Path) -> None:
    painter = painter_of(tmp_path, "http://127.0.0.1:9/v1", endpoint={"attempts": 2})
    rows = painted_by(painter, *(spec(f"koala {number}") for number in range(3)))
    assert {row["status"] for row in rows} == {"deferred"}
    IMAGES.from_rows([but(row, run_id="a run") for row in rows])


def test_an_address_instead_of_a_picture_stops_at_once(tmp_path: Path) -> None:
    with (
        image_server(lambda body, arrival: "address") as (url, _),
        pytest.raises(EndpointError, match=r"set painter\.response_format to b64_json"),
    ):
        painted_by(painter_of(tmp_path, url), spec("koala"))


def test_a_missing_key_is_said_before_the_first_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    painter = painter_of(tmp_path, "", endpoint={"base_url": None, "api_key_variable": "OPENAI_API_KEY"})
    with pytest.raises(EndpointError, match="set the environment variable OPENAI_API_KEY"):
        painted_by(painter, spec("koala"))


def test_the_ledger_holds_pictures_and_no_other_request(tmp_path: Path) -> None:
    with image_server() as (url, _):
        painted_by(painter_of(tmp_path, url), spec("koala"), spec("fox"))
    with sqlite3.connect(tmp_path / "image_ledger.sqlite") as ledger:
        assert ledger.execute("SELECT stage, count(*) FROM requests GROUP BY 1").fetchall() == [("images", 2)]


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"endpoint": {"model": "m", "mode": "batch"}}, "pictures are asked for live"),
        ({"endpoint": {"model": "m", "temperature": 1}}, "image requests have none"),
    ],
)
def test_settings_of_chat_requests_are_refused(changes: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ValueError, match=mistake):
        ApiPainterSettings.model_validate({"kind": "api", **changes})
