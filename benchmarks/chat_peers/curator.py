"""Ask through Bespoke Curator. Usage: ``curator.py URL REQUESTS IN_FLIGHT``; prints seconds and answers."""

import sys
import time
from tempfile import TemporaryDirectory

from bespokelabs import curator


def main(url: str, count: int, in_flight: int) -> None:
    """Time the whole call, cache included."""
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        model = curator.LLM(
            model_name="openai/loopback",
            # Its own openai backend downloads a tokenizer first.
            backend="litellm",
            backend_params={
                "base_url": url,
                "api_key": "none",
                "max_concurrent_requests": in_flight,
                "max_requests_per_minute": 1_000_000,
                "max_tokens_per_minute": 1_000_000_000,
            },
        )
        answered = model([f"say {number}" for number in range(count)], working_dir=folder)
        seconds = time.perf_counter() - started
        print(seconds, len(answered.dataset))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
