"""What a profile says about an endpoint that answers chat requests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from stablellava_assets.inputs.yaml_documents import Document, MistakeAtKeyError, UserPath

OPENAI_URL = "https://api.openai.com/v1"


class EndpointSettings(Document):
    """An OpenAI-compatible endpoint: which one, what it can do, how hard it may be pressed, what it may cost."""

    provider: Literal["openai", "azure"] = Field(
        "openai", description="openai: OpenAI and whatever speaks its protocol; azure: Azure OpenAI."
    )
    base_url: str | None = Field(
        None, description="As in http://localhost:8000/v1; Azure: the resource's address. Unset: OpenAI."
    )
    api_version: str | None = Field(None, description="Azure's API version, as in 2024-10-21.")
    model: str = Field(min_length=1, description="The model; Azure: the deployment's name.")
    api_key_variable: str | None = Field(
        "OPENAI_API_KEY",
        min_length=1,
        description="Environment variable that holds the key. null: the endpoint wants none. Keys are never written here.",
    )
    temperature: float | None = Field(
        None, ge=0, le=2, description="Unset: the endpoint's default; some models accept nothing else."
    )
    structured_output: Literal["json_schema", "json_object", "prompt"] = Field(
        "json_schema",
        description="What the endpoint can do: follow a JSON schema, write any JSON, or only read what is asked of it.",
    )
    output_limit_field: Literal["max_completion_tokens", "max_tokens"] | None = Field(
        None,
        description="How the endpoint calls the limit of an answer's tokens. Unset: max_completion_tokens for OpenAI and Azure, "
        "max_tokens elsewhere.",
    )
    extra_body: dict[str, Any] = Field(
        {}, description="Further fields of every request, as in {reasoning_effort: low} or {top_p: 0.9}."
    )
    max_in_flight: int = Field(256, ge=1, le=4096, description="Most requests under way at once, a process.")
    initial_in_flight: int = Field(
        32, ge=1, description="Requests under way at first; how many it becomes depends on what the endpoint takes."
    )
    requests_per_minute: int | None = Field(None, ge=1, description="Cap a process. Unset: none.")
    tokens_per_minute: int | None = Field(
        None, ge=1, description="Cap a process, of tokens sent and received. Unset: none."
    )
    timeout_s: float = Field(120, gt=0, description="Seconds until a request without an answer is given up.")
    attempts: int = Field(
        8, ge=1, le=100, description="Times a request is sent while the endpoint fails (errors, resets, timeouts)."
    )
    backoff_s: float = Field(
        1,
        gt=0,
        description="Seconds before a request is sent again; twice as long each further time, less some chance.",
    )
    max_backoff_s: float = Field(
        60,
        gt=0,
        description="Longest of these pauses; an endpoint that asks for more than ten times this is left alone.",
    )
    mode: Literal["live", "batch"] = Field(
        "live", description="live: answers in seconds; batch: OpenAI's Batch API, within a day, at half the price."
    )
    batch_requests: int = Field(50_000, ge=1, le=50_000, description="Requests a batch at most; OpenAI takes 50,000.")
    batch_bytes: int = Field(
        200_000_000, ge=1, le=200_000_000, description="Size of a batch's file at most; OpenAI takes 200 MB."
    )
    batch_poll_s: float = Field(30, gt=0, description="Seconds between two looks at a batch that is under way.")
    budget_usd: Decimal | None = Field(
        None,
        gt=0,
        description="Most US dollars that all requests of this data folder may cost together, past ones included: a hard stop. "
        "Unset: none.",
    )
    prices: UserPath | None = Field(
        None, description="YAML file of prices that add to, and override, the built-in ones. Unset: built-in ones only."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.provider == "azure":
            for name in ("base_url", "api_version"):
                if getattr(self, name) is None:
                    raise MistakeAtKeyError((name,), "Azure needs it")
        if self.base_url is not None:
            url = urlsplit(self.base_url)
            if url.scheme not in ("http", "https") or not url.hostname:
                raise MistakeAtKeyError(("base_url",), "must be an address such as http://localhost:8000/v1")
            if url.username or url.password or url.query:
                raise MistakeAtKeyError(
                    ("base_url",), "must hold no key; put it into the environment (api_key_variable)"
                )
        return self

    @property
    def is_official(self) -> bool:
        """Whether OpenAI itself, or Azure, answers: its price list and its rules for schemas hold."""
        return self.base_url is None or self.provider == "azure"

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.base_url or OPENAI_URL
