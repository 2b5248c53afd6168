"""The calls of OpenAI's Batch API: upload a file of requests, create a batch of it, look at it, fetch what came of
it."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Any, Self, TypeVar, cast

import httpx2
import openai

from stablellava_assets.endpoint.batch.ledger import OpenBatch
from stablellava_assets.endpoint.batch.results import Standing, standing_of
from stablellava_assets.endpoint.rate_limits.retry_after import retry_after
from stablellava_assets.endpoint.replies.complaints import complaint_in
from stablellava_assets.endpoint.replies.refusals import RefusedError, UnavailableError, error_of
from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.endpoint.transport import Transport

T = TypeVar("T")

_KEY_IN_METADATA = "stablellava_batch"
_CLOCKS_DIFFER_S = 3600


class MissingBatchError(EndpointError):
    """The account has no such batch."""


class MissingFileError(Exception):
    """A file of results is no longer there."""


class BatchApi:
    """Calls that wait for their answers and are tried again while the endpoint fails.

    Each raises UnavailableError when it failed ``attempts`` times, and EndpointError when it can never succeed.
    """

    def __init__(self, settings: EndpointSettings, transport: Transport) -> None:
        self._settings = settings
        self._transport = transport
        self.path = "/chat/completions" if settings.provider == "azure" else "/v1/chat/completions"
        """Where each request of a file is to go."""

    def __enter__(self) -> Self:
        self._client = self._transport.blocking_client()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def upload(self, name: str, file: IO[bytes]) -> str:
        """Send a file of requests; its id. Costs nothing, whatever becomes of it."""

        def once() -> str:
            file.seek(0)
            response = self._client.files.with_raw_response.create(file=(name, file), purpose="batch")
            described = self._json(response.http_response, "uploaded file")
            if not described.get("id"):
                raise self._complaint(response.http_response, "uploaded file")
            return str(described["id"])

        return self._tried(once)

    def create(self, batch: OpenBatch, file_id: str) -> str:
        """Have the batch worked on; its id. Where it is not clear whether a try succeeded,
        the batch is looked for first."""
        tries = 0

        def once() -> str:
            nonlocal tries
            tries += 1
            if tries > 1 and (found := self._found(batch)) is not None:
                return found
            response = self._client.batches.with_raw_response.create(
                input_file_id=file_id,
                endpoint=cast("Any", self.path),
                completion_window="24h",
                metadata={_KEY_IN_METADATA: batch.key},
            )
            return self._standing(response.http_response).batch_id

        return self._tried(once)

    def find(self, batch: OpenBatch) -> str | None:
        """The id of a batch that may have been created; None if it was not."""
        return self._tried(lambda: self._found(batch))

    def look(self, batch_id: str) -> Standing:
        """The batch as it stands.

        Raises:
            MissingBatchError: the account has none of this id.
        """
        missing = MissingBatchError(
            f"{self._settings.url}: has no batch {batch_id}, which was submitted from here. Use the key of the account "
            f"that submitted it ({self._settings.api_key_variable}), or move the ledger away to start over"
        )

        def once() -> Standing:
            return self._standing(self._client.batches.with_raw_response.retrieve(batch_id).http_response)

        return self._tried(once, missing, f"batch {batch_id} cannot be looked at")

    def lines(self, file_id: str) -> Iterator[str]:
        """The lines of a file of results, as they are but for the key.

        Raises:
            MissingFileError: the endpoint has deleted it.
        """
        with tempfile.TemporaryFile() as file:
            missing = MissingFileError(f"file {file_id} was deleted")
            self._tried(
                lambda: self._download(file_id, file), missing, f"the results in file {file_id} cannot be fetched"
            )
            file.seek(0)
            for line in file:
                yield self._transport.answer_without_key(line.decode(errors="replace"))

    def _download(self, file_id: str, file: IO[bytes]) -> None:
        file.seek(0)
        file.truncate()
        with self._client.files.with_streaming_response.content(file_id) as response:
            for part in response.iter_bytes():
                file.write(part)

    def _found(self, batch: OpenBatch) -> str | None:
        for described in self._listed():
            other = standing_of(described, _KEY_IN_METADATA)
            if other is None:
                continue
            if other.key == batch.key:
                return other.batch_id
            if other.created_at is not None and other.created_at < batch.begun_at - _CLOCKS_DIFFER_S:
                return None  # The newest come first.
        return None

    def _listed(self) -> Iterator[Any]:
        try:
            for described in self._client.batches.list(limit=100):
                yield described.to_dict(mode="json")
        except (ValueError, TypeError, AttributeError) as error:  # The client trusts that it is sent a list.
            raise UnavailableError(
                f"the endpoint's list of batches cannot be read: {type(error).__name__}", False
            ) from None

    def _standing(self, response: httpx2.Response) -> Standing:
        standing = standing_of(self._json(response, "batch"), _KEY_IN_METADATA)
        if standing is None:
            raise self._complaint(response, "batch")
        return standing

    def _json(self, response: httpx2.Response, what: str) -> dict[str, Any]:
        try:
            document = json.loads(self._transport.without_key(response.text).lstrip("\ufeff"))
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise self._complaint(response, what)
        return document

    def _complaint(self, response: httpx2.Response, what: str) -> Exception:
        """What it means that a success describes no such thing."""
        complaint = complaint_in(self._transport.without_key(response.text))
        if complaint.status is None:
            return UnavailableError(f"the endpoint's answer describes no {what}: {complaint}", False)
        return error_of(self._settings, None, complaint)

    def _tried(self, call: Callable[[], T], missing: Exception | None = None, paid: str | None = None) -> T:
        """``missing`` says what HTTP 404 and 410 mean; ``paid`` what cannot be done with
        a batch that was paid already."""
        settings = self._settings
        for attempt in range(settings.attempts):
            try:
                with self._in_our_words(missing, paid):
                    return call()
            except UnavailableError as error:
                last = error
            pause = min(settings.backoff_s * 2**attempt, settings.max_backoff_s) * random.uniform(0.5, 1)
            time.sleep(max(pause, min(retry_after(last.headers) or 0.0, settings.max_backoff_s)))
        raise last

    @contextmanager
    def _in_our_words(self, missing: Exception | None, paid: str | None) -> Iterator[None]:
        try:
            yield
        except (openai.APIError, httpx2.RequestError) as error:
            if isinstance(error, openai.APIStatusError) and error.status_code in (404, 410):
                no_batches = EndpointError(
                    f"{self._settings.url}: has no Batch API; check `base_url`, or set mode: live"
                )
                raise missing or no_batches from None
            meaning = self._transport.error_of(error)
            if isinstance(meaning, RefusedError):
                raise self._takes_none(meaning, paid) from None
            raise meaning from None
        except RefusedError as error:
            raise self._takes_none(error, paid) from None

    def _takes_none(self, refusal: RefusedError, paid: str | None) -> EndpointError:
        if paid is not None:
            mend = (
                f"check {self._settings.api_key_variable or 'the endpoint'} and run again: the answers are paid and "
                "kept there"
            )
            return EndpointError(f"{self._settings.url}: {paid}: {refusal}; {mend}")
        return EndpointError(
            f"{self._settings.url}: accepts no batch: {refusal}. Check the settings, or set mode: live"
        )
