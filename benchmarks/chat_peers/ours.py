"""Ask through this project's endpoint. Usage: ``ours.py URL REQUESTS IN_FLIGHT``; prints seconds and answers."""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel

import stablellava_assets.endpoint.live  # noqa: F401  # What a first call would load; the others load theirs here, too.
from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.requests import chat_request
from stablellava_assets.endpoint.settings import EndpointSettings


class Text(BaseModel):
    """What the server answers."""

    text: str


def main(url: str, count: int, in_flight: int) -> None:
    """Time the whole call, ledger included."""
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        settings = EndpointSettings(
            base_url=url, model="loopback", api_key_variable=None, max_in_flight=in_flight, initial_in_flight=in_flight
        )
        requests = (
            chat_request(
                settings,
                stage="benchmark",
                messages=[{"role": "user", "content": f"say {number}"}],
                answer=Text,
                max_output_tokens=50,
            )
            for number in range(count)
        )
        outcomes = list(ChatEndpoint(settings, Path(folder) / "ledger.sqlite").ask(requests))
        seconds = time.perf_counter() - started
    print(seconds, sum(outcome.answer is not None for outcome in outcomes))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
