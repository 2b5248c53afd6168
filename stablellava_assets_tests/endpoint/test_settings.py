"""Mistakes in an endpoint's settings and prices name the key and what to do; costs follow the price list."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from stablellava_assets.endpoint.estimates import prompt_size, worst_cost
from stablellava_assets.endpoint.prices import Price, price_of
from stablellava_assets.endpoint.requests import body_of, chat_request
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets_tests.endpoint.questions import Echo, question


def settings_of(**given: Any) -> EndpointSettings:
    return EndpointSettings.model_validate({"model": "gpt-4o-mini", **given})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"provider": "azure", "api_version": "2024-10-21"}, "Azure needs it"),
        ({"provider": "azure", "base_url": "https://mine.openai.azure.com"}, "Azure needs it"),
        ({"base_url": "localhost:8000"}, "must be an address such as http://localhost:8000/v1"),
        ({"structured_output": "yes"}, "structured_output"),
        ({"api_key": "sk-1"}, "api_key"),
        ({"budget_usd": 0}, "budget_usd"),
        ({"attempts": 0}, "attempts"),
    ],
)
def test_mistakes_are_named(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        settings_of(**given)


@pytest.mark.parametrize(
    "changed",
    [
        {"base_url": "http://localhost/v1"},
        {"model": "gpt-4o"},
        {"temperature": 0.5},
        {"structured_output": "json_object"},
        {"extra_body": {"top_p": 0.5}},
    ],
)
def test_the_id_of_a_request_covers_what_shapes_its_answer(changed: dict[str, Any]) -> None:
    assert question(settings_of(), "say it").request_id != question(settings_of(**changed), "say it").request_id


@pytest.mark.parametrize("changed", [{"max_in_flight": 3}, {"timeout_s": 7}, {"budget_usd": 3}, {"mode": "batch"}])
def test_the_id_of_a_request_leaves_out_what_does_not(changed: dict[str, Any]) -> None:
    assert question(settings_of(), "say it").request_id == question(settings_of(**changed), "say it").request_id


def test_the_id_of_a_request_covers_its_answers_schema() -> None:
    class Other(BaseModel):
        text: str = Field(max_length=10)

    assert question(settings_of(), "a").request_id != question(settings_of(), "a", answer=Other).request_id
    assert question(settings_of(), "a").request_id != question(settings_of(), "a", max_output_tokens=9).request_id


def test_openai_gets_no_more_schema_than_it_takes() -> None:
    class Item(BaseModel):
        name: str = Field(max_length=10)
        title: str = "none"

    class Items(BaseModel):
        items: list[Item]

    def item_of(settings: EndpointSettings) -> Any:
        body = body_of(settings, question(settings, "a", answer=Items))
        return body["response_format"]["json_schema"]["schema"]["$defs"]["Item"]

    assert item_of(settings_of()) == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "title": {"type": "string"}},
        "required": ["name", "title"],
        "additionalProperties": False,
    }
    assert item_of(settings_of(base_url="http://localhost/v1"))["properties"]["name"]["maxLength"] == 10


@pytest.mark.parametrize(
    ("model", "given", "cached", "written", "picture_tokens"),
    [
        ("gpt-4o", "2.50", "1.25", "10.00", 1445),
        ("gpt-4o-mini", "0.15", "0.075", "0.60", 48169),
        ("gpt-4.1", "2.00", "0.50", "8.00", 1445),
        ("gpt-4.1-mini", "0.40", "0.10", "1.60", 2489),
        ("gpt-4.1-nano", "0.10", "0.025", "0.40", 3779),
        ("gpt-5", "1.25", "0.125", "10.00", 1190),
        ("gpt-5-mini", "0.25", "0.025", "2.00", 2489),
        ("gpt-5-nano", "0.05", "0.005", "0.40", 3779),
        ("gpt-3.5-turbo", "0.50", "0.50", "1.50", 2000),
        ("o3", "2.00", "0.50", "8.00", 1275),
        ("o4-mini", "1.10", "0.275", "4.40", 2642),
    ],
)
def test_models_cost_what_they_cost_in_the_list_that_was_kept_by_hand(
    model: str, given: str, cached: str, written: str, picture_tokens: int
) -> None:
    price = price_of(settings_of(model=model))
    assert price is not None
    dollars = [Decimal(each) / 1_000_000 for each in (given, cached, written)]
    assert price == Price(dollars[0], dollars[1], dollars[2], picture_tokens)


def test_budgets_reserve_the_most_for_a_picture_of_a_model_whose_pictures_nobody_counted() -> None:
    price = price_of(settings_of(model="gpt-5.1"))
    assert price is not None
    assert price.picture_tokens == 48169


@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-image-1.5", "gpt-realtime", "tts-1", "text-embedding-3-small"])
def test_a_model_that_costs_more_than_three_prices_tell_is_the_users_to_list(model: str, tmp_path: Path) -> None:
    assert price_of(settings_of(model=model)) is None
    (tmp_path / "prices.yaml").write_text(f"{model}: {{input: 1, output: 2}}\n")
    assert price_of(settings_of(model=model, prices=tmp_path / "prices.yaml")) is not None


def test_the_built_in_list_is_openais() -> None:
    price = price_of(settings_of())
    assert price is not None
    assert price.cost(1_000_000, 1_000_000) == Decimal("0.75")
    assert price.cost(1000, 0, cached_tokens=400) == Decimal("0.00012")
    assert price_of(settings_of(model="gpt-4o-mini-2024-07-18")) == price
    assert price_of(settings_of(provider="azure", base_url="https://mine", api_version="1")) == price
    assert price_of(settings_of(base_url="http://localhost/v1")) is None
    assert price_of(settings_of(model="gpt-unheard-of")) is None


def test_a_batch_costs_half() -> None:
    live, batch = price_of(settings_of()), price_of(settings_of(mode="batch"))
    assert live is not None
    assert batch is not None
    assert batch.cost(1234, 567) * 2 == live.cost(1234, 567)


def test_a_users_prices_come_first(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text("gpt-4o-mini: {input: 1, output: 2}\nmine: {input: 0.000001, output: 0}\n")
    price = price_of(settings_of(prices=tmp_path / "prices.yaml"))
    assert price is not None
    assert price.cost(1_000_000, 1_000_000, cached_tokens=1_000_000) == 3
    dated = settings_of(prices=tmp_path / "prices.yaml", model="gpt-4o-mini-2024-07-18")
    assert price_of(dated) == price
    mine = price_of(settings_of(prices=tmp_path / "prices.yaml", model="mine", base_url="http://localhost"))
    assert mine is not None
    assert mine.cost(1, 1) == Decimal("0.000000000001")
    assert price_of(settings_of(prices=tmp_path / "prices.yaml", model="gpt-4o")) is not None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mine: {input: -1, output: 2}\n", r"prices\.yaml:1: mine\.input: "),
        ("\nmine: {input: 1}\n", r"prices\.yaml:2: mine\.output: Field required"),
        ("mine: {input: 1, output: 1, currency: EUR}\n", "is not a known setting"),
    ],
)
def test_a_mistake_in_a_users_prices_names_its_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(DocumentError, match=reason):
        price_of(settings_of(prices=tmp_path / "prices.yaml"))


def test_the_worst_cost_is_a_bound_whatever_the_tokenizer() -> None:
    settings = settings_of()
    text, picture = (
        "Ein Würfel 🎲",
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 50_000}},
    )
    request = chat_request(
        settings,
        stage="test",
        messages=[{"role": "user", "content": [{"type": "text", "text": text}, picture]}],
        answer=Echo,
        max_output_tokens=100,
    )
    size = prompt_size(body_of(settings, request))
    assert size.pictures == 1
    assert len(text.encode()) < size.text_bytes < 1000, "the schema is sent too, and a picture is no text"
    price = price_of(settings)
    assert price is not None
    assert worst_cost(size, 100, price) == price.cost(size.text_bytes + 2 * 16 + 48169, 100)
    assert worst_cost(size, 100, None) is None
