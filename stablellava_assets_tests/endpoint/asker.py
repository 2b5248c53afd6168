"""A process that asks questions and writes their outcomes; to be run several at once, and to be killed.

``python -m stablellava_assets_tests.endpoint.asker '<settings as JSON>' <ledger> <first> <count> <file of outcomes>``
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets_tests.endpoint.questions import questions


def start(
    settings: EndpointSettings, ledger: Path, first: int, count: int, outcomes: Path, within_kib: int | None = None
) -> subprocess.Popen[bytes]:
    """Start the process, which may write no file larger than ``within_kib``."""
    given = [settings.model_dump_json(), *map(str, (ledger, first, count, outcomes))]
    limit = "" if within_kib is None else f"ulimit -f {within_kib}; "
    return subprocess.Popen(
        ["bash", "-c", f'{limit}exec "$0" -m {__name__} "$@"', sys.executable, *given], stderr=subprocess.PIPE
    )


def main(settings: EndpointSettings, ledger: Path, first: int, count: int, outcomes: Path) -> None:
    asked = itertools.islice(questions(settings, first + count), first, None)
    with outcomes.open("w") as file:
        for outcome in ChatEndpoint(settings, ledger).ask(asked):
            answer = outcome.answer and outcome.answer.model_dump()
            told = [outcome.request_id, outcome.status, answer, outcome.reason, str(outcome.cost_usd)]
            file.write(f"{json.dumps(told)}\n")


if __name__ == "__main__":
    given, ledger, first, count, outcomes = sys.argv[1:]
    main(EndpointSettings.model_validate_json(given), Path(ledger), int(first), int(count), Path(outcomes))
