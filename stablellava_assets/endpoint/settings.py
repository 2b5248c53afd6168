"""What a profile says about an endpoint that answers chat requests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from stablellava_assets.inputs.yaml_documents import Document, MistakeAtKeyError, UserPath

OPENAI_URL = "https://api.openai.com/v1"


class EndpointSettings(Document):
    """An OpenAI-compatible endpoint: address, capabilities, rate limits and budget."""

    provider: Literal["openai", "azure"] = Field(
        "openai", description="openai: OpenAI and every server with its protocol; azure: Azure OpenAI."
    )
    base_url: str | None = Field(
        None, description="Address, such as http://localhost:8000/v1; for Azure, that of the resource. Unset: OpenAI."
    )
    api_version: str | None = Field(None, description="API version of Azure, such as 2024-10-21.")
    model: str = Field(min_length=1, description="Name of the model; for Azure, of the deployment.")
    api_key_variable: str | None = Field(
        "OPENAI_API_KEY",
        min_length=1,
        description="Environment variable that holds the API key. null: no key. Never put a key here.",
    )
    temperature: float | None = Field(
        None,
        ge=0,
        le=2,
        description="Sampling temperature. Unset: the endpoint's default; some models accept nothing else.",
    )
    structured_output: Literal["json_schema", "json_object", "prompt"] = Field(
        "json_schema",
        description="Output mode of the endpoint: JSON schema, any JSON, or only the instructions in the prompt.",
    )
    output_limit_field: Literal["max_completion_tokens", "max_tokens"] | None = Field(
        None,
        description=(
            "Request field for the output token limit. Unset: max_completion_tokens for OpenAI and Azure, else "
            "max_tokens."
        ),
    )
    extra_body: dict[str, Any] = Field(
        {}, description="Extra fields of every request, such as {reasoning_effort: low} or {top_p: 0.9}."
    )
    max_in_flight: int = Field(256, ge=1, le=4096, description="Maximum number of concurrent requests per process.")
    initial_in_flight: int = Field(
        32, ge=1, description="Initial number of concurrent requests; it adapts to the endpoint."
    )
    requests_per_minute: int | None = Field(None, ge=1, description="Rate limit per process. Unset: none.")
    tokens_per_minute: int | None = Field(
        None, ge=1, description="Rate limit per process, for tokens sent and received. Unset: none."
    )
    timeout_s: float = Field(120, gt=0, description="Timeout of a request, in seconds.")
    attempts: int = Field(
        8, ge=1, le=100, description="Maximum number of attempts if the endpoint fails (errors, resets, timeouts)."
    )
    backoff_s: float = Field(
        1,
        gt=0,
        description="Seconds before the first retry; doubled for each further one, with jitter.",
    )
    max_backoff_s: float = Field(
        60,
        gt=0,
        description=(
            "Maximum pause in seconds; if an endpoint asks for more than ten times this, the requests are deferred."
        ),
    )
    mode: Literal["live", "batch"] = Field(
        "live", description="live: answers in seconds; batch: OpenAI's Batch API, within a day, at half the price."
    )
    batch_requests: int = Field(
        50_000, ge=1, le=50_000, description="Maximum number of requests per batch; OpenAI accepts 50,000."
    )
    batch_bytes: int = Field(
        200_000_000, ge=1, le=200_000_000, description="Maximum size of a batch file in bytes; OpenAI accepts 200 MB."
    )
    batch_poll_s: float = Field(30, gt=0, description="Polling interval of a submitted batch, in seconds.")
    budget_usd: Decimal | None = Field(
        None,
        gt=0,
        description=(
            "Maximum total cost in US dollars of all requests of this data folder, past ones included: a hard limit. "
            "Unset: none."
        ),
    )
    prices: UserPath | None = Field(
        None, description="YAML file of prices that extend and override the built-in ones. Unset: built-in ones only."
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
