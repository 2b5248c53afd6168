"""The ledger does the same in a file and in a database that machines share."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from stablellava_assets.endpoint.batch.ledger import BatchLedger, Unanswered
from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.ledger import Ledger, LedgerError, Spending, Usage
from stablellava_assets.endpoint.replies.replies import Reply
from stablellava_assets.endpoint.requests import ChatRequest
from stablellava_assets.state.database import Database
from stablellava_assets.state.sql import StatePlace, StateSchema
from stablellava_assets_tests.endpoint.questions import priced, question, questions, settings_of
from stablellava_assets_tests.fakes.loopback import Script, loopback

REPLY = Reply('{"text": "a"}', None, "stop", "loopback", 100, 20)
SPENDER = """
import sys
from decimal import Decimal
from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.state.database import Database
from stablellava_assets.state.sql import StateSchema
from stablellava_assets_tests.state.test_ledger import REPLY, asked
ledger = Ledger(StateSchema(Database(sys.argv[1]), "chat_ledger"), Decimal("0.05"))
for number in range(60):
    request = asked(int(sys.argv[2]) + number)
    if ledger.reserve(request, "loopback", Decimal("0.001")):
        ledger.settle(request.request_id, REPLY, Decimal("0.0009"), Decimal("0.001"))
        print(request.request_id)
"""


def asked(number: int) -> ChatRequest:
    """A request."""
    return question(settings_of("http://127.0.0.1:9/v1"), str(number))


@pytest.fixture(params=["file", "database"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StatePlace:
    if request.param == "file":
        return tmp_path / "ledger.sqlite"
    return StateSchema(request.getfixturevalue("database"), "chat_ledger")


def test_requests_are_entered_answered_and_released(place: StatePlace) -> None:
    ledger = Ledger(place, Decimal("0.01"))
    first, second, third = (asked(number) for number in range(3))
    assert ledger.find(first.request_id) is None
    assert ledger.reserve(first, "loopback", Decimal("0.004"))
    assert ledger.reserve(second, "loopback", Decimal("0.006"))
    assert not ledger.reserve(third, "loopback", Decimal("0.001")), "the budget has no room"
    assert ledger.spending() == Spending(Decimal(0), Decimal("0.01"), 0)
    ledger.settle(first.request_id, REPLY, Decimal("0.0003"), Decimal("0.004"))
    ledger.release(second.request_id, Decimal("0.006"), "refused")
    assert ledger.reserve(third, "loopback", None)
    ledger.settle(third.request_id, REPLY, None, None)
    ledger.close()

    again = Ledger(place)
    assert again.spending() == Spending(Decimal("0.0003"), Decimal(0), 1)
    entry = again.find(first.request_id)
    assert entry is not None
    assert (entry.reply, entry.cost, entry.attempts) == (REPLY, Decimal("0.0003"), 1)
    failed = again.find(second.request_id)
    assert failed is not None
    assert failed.reply is None
    assert again.usage(first.stage, "loopback") == Usage(2, 100.0, 20.0, 0.0003)
    again.close()


def test_what_is_entered_together_is_entered_whole_or_not_at_all(place: StatePlace) -> None:
    ledger = Ledger(place)

    def interrupted() -> None:
        with ledger.transaction():
            ledger.reserve(asked(1), "loopback", Decimal("0.004"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ledger.spending().held == 0
    assert ledger.find(asked(1).request_id) is None
    ledger.close()


def test_batches_are_begun_and_closed(place: StatePlace) -> None:
    ledger = Ledger(place, Decimal("0.01"))
    batches = BatchLedger(ledger, "http://127.0.0.1:9/v1")
    requests = [(asked(number), Decimal("0.004")) for number in range(3)]
    with ledger.alone("batches"):
        batch, admitted = batches.begin(requests, "loopback")
    assert admitted == {requests[0][0].request_id, requests[1][0].request_id}
    batches.uploaded(batch.key, "file")
    batches.created(batch.key, "batch")
    (opened,) = batches.open_batches()
    assert (opened.file_id, opened.batch_id, opened.begun_at) == ("file", "batch", batch.begun_at)
    assert batches.batch_of(requests[0][0].request_id) == batch.key
    taken = batches.close(batch.key, {requests[0][0].request_id: (REPLY, Decimal("0.001"))}, Unanswered("missing"))
    assert taken.keys() == admitted
    assert batches.close(batch.key, {}, Unanswered("missing")) == {}
    assert ledger.spending() == Spending(Decimal("0.001"), Decimal(0), 0)
    ledger.close()


def test_an_answer_may_hold_any_character(place: StatePlace) -> None:
    ledger = Ledger(place)
    odd = Reply("50 % of \u732b's 'cats'; ? \\ \U0001f408 \0", None, "stop", "loopback", 1, 1)
    ledger.reserve(asked(1), "loopback", None)
    ledger.settle(asked(1).request_id, odd, None, None)
    entry = ledger.find(asked(1).request_id)
    assert entry is not None
    assert entry.reply is not None
    assert entry.reply.text is not None
    assert entry.reply.text.rstrip("\0\ufffd") == "50 % of \u732b's 'cats'; ? \\ \U0001f408 "
    ledger.close()


def test_machines_share_one_budget_to_the_cent(database: Database) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", SPENDER, database.url, str(first)], stdout=subprocess.PIPE, text=True)
        for first in (0, 1000, 2000)
    ]
    paid = [line for process in started for line in process.communicate()[0].splitlines()]
    assert [process.returncode for process in started] == [0, 0, 0]
    ledger = Ledger(StateSchema(database, "chat_ledger"))
    assert ledger.spending() == Spending(len(paid) * Decimal("0.0009"), Decimal(0), 0)
    # As many as fit: after the last, the worst case of one more would be too much.
    assert len(paid) == len(set(paid)) == 55
    ledger.close()


def test_a_connection_that_was_cut_is_made_again(database: Database) -> None:
    ledger = Ledger(StateSchema(database, "chat_ledger"))
    with database.connect() as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database()"
        )
    assert ledger.reserve(asked(1), "loopback", Decimal("0.001"))
    assert ledger.spending().held == Decimal("0.001")
    ledger.close()


def test_a_ledger_of_another_version_is_refused(database: Database) -> None:
    place = StateSchema(database, "chat_ledger")
    Ledger(place).close()
    with database.connect() as other:
        other.execute("UPDATE chat_ledger.state_version SET version = 99")
    with pytest.raises(LedgerError, match="it is of version 99, this program writes version 1"):
        Ledger(place)


def test_no_request_is_asked_twice_from_two_folders(database: Database, tmp_path: Path) -> None:
    place = StateSchema(database, "chat_ledger")
    with loopback(Script()) as (url, counts):
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir()
            settings = priced(tmp_path / folder, url, budget_usd="1")
            outcomes = list(ChatEndpoint(settings, place).ask(questions(settings, 20)))
            assert {outcome.status for outcome in outcomes} == {"made"}
        assert set(counts.answered.values()) == {1}
