"""Ask through distilabel. Usage: ``distil.py URL REQUESTS IN_FLIGHT``; prints seconds and answers."""

import sys
import time

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration


def main(url: str, count: int, in_flight: int) -> None:
    """Time the whole call. It sends a batch of rows at a time and waits for all of it, so
    the batch is what is in flight."""
    started = time.perf_counter()
    with Pipeline(name="loopback") as pipeline:
        rows = LoadDataFromDicts(
            data=[{"instruction": f"say {number}"} for number in range(count)], batch_size=in_flight
        )
        model = OpenAILLM(model="loopback", base_url=url, api_key="none", generation_kwargs={"max_new_tokens": 50})
        rows >> TextGeneration(llm=model, input_batch_size=in_flight)
    answered = pipeline.run(use_cache=False)["default"]["train"]
    seconds = time.perf_counter() - started
    print(seconds, sum(text is not None for text in answered["generation"]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
