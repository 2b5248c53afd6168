"""Wrong answers to the questions of kept pairs: what training by preference turns a model away from.

They come from training data alone, never from a benchmark: from rejected pairs, and from models that were asked the
questions of kept pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypedDict, get_args

from stablellava_assets.exports.selection import Pair
from stablellava_assets.filters.findings import BenchmarkRule
from stablellava_assets.tables.findings import REJECTS, REPEATS, StoredFinding, rules_with
from stablellava_assets.tables.pair_rows import Written
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import DIALOGUES, REJECTED_PAIRS
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import columns_of, rows_of
from stablellava_assets.text.conversations import Turn, alternate, without_marks
from stablellava_assets.text.normalized import normalized_text

WRONG: frozenset[str] = frozenset({"answer_not_offered", "subject_not_named", "expected_missing"})
"""Rules that find an answer wrong, whatever the image looks like."""
_CONTAMINATED = frozenset(get_args(BenchmarkRule)) - {"benchmark_question"}
_ONE_EXCHANGE = 2
_ENDS = " .!?…"

Source = Literal["rejected_pair", "base", "tuned"]


class Exchange(TypedDict):
    """The columns of a verdict that tell what was asked and answered."""

    pair_id: str
    image_ids: list[str]
    conversations: list[Turn]
    findings: list[StoredFinding]


@dataclass(frozen=True)
class WrongAnswer:
    """A wrong answer, and where it comes from.

    ``pair_id`` and ``rules`` are those of a rejected pair, None and empty for a model that was asked. ``written`` is
    the author of the rejected pair, or says which model answered.
    """

    text: str
    source: Source
    written: Written
    pair_id: str | None = None
    rules: tuple[str, ...] = ()


class WrongAnswers:
    """The wrong answers to the questions of kept pairs.

    Args:
        store: the rejected pairs, of which those of one partition are in memory at a time.
        of_models: what models that were asked answered wrongly, by pair id.
    """

    def __init__(self, store: ParquetStore, of_models: Mapping[str, Sequence[WrongAnswer]] | None = None) -> None:
        self._store = store
        self._of_models = of_models or {}
        self._of_rejected = lru_cache(1)(self._read_rejected)

    def of(self, pair: Pair) -> list[WrongAnswer]:
        """The wrong answers to a pair's question about its images, each text once; none to several questions."""
        if not can_be_asked(pair.row):
            return []
        rejected = self._of_rejected((pair.row["ability"], pair.row["batch"]))
        found = [*rejected.get(_asked(pair.row), ()), *self._of_models.get(pair.pair_id, ())]
        # An answer that says what the right one does is not wrong, however it was judged.
        seen = {"", _said(pair.row["conversations"][1]["value"])}
        wrong = []
        for each in found:
            if (text := _said(each.text)) not in seen:
                seen.add(text)
                wrong.append(each)
        return wrong

    def _read_rejected(self, partition: Partition) -> dict[tuple[str, ...], list[WrongAnswer]]:
        rows = rows_of(Exchange, self._store.read_all(REJECTED_PAIRS, [partition], columns_of(Exchange)))
        wrong = [row for row in rows if _is_one_exchange(row) and _is_wrong(rules_with(REJECTS, row["findings"]))]
        if not wrong:
            return {}
        dialogues = self._store.read_all(DIALOGUES, [partition], ["pair_id", *columns_of(Written)])
        written = dict(zip(texts_of(dialogues, "pair_id"), rows_of(Written, dialogues), strict=True))
        found: dict[tuple[str, ...], list[WrongAnswer]] = {}
        for row in wrong:
            if row["pair_id"] in written:
                answer, rules = row["conversations"][1]["value"], tuple(rules_with(REJECTS, row["findings"]))
                made = WrongAnswer(answer, "rejected_pair", written[row["pair_id"]], row["pair_id"], rules)
                found.setdefault(_asked(row), []).append(made)
        return found


def can_be_asked(pair: Exchange) -> bool:
    """Whether a kept pair asks one question, and is in no benchmark: a person may have kept one that is."""
    return _is_one_exchange(pair) and not any(found["rule"] in _CONTAMINATED for found in pair["findings"])


def _is_one_exchange(pair: Exchange) -> bool:
    return len(pair["conversations"]) == _ONE_EXCHANGE and alternate(pair["conversations"])


def _is_wrong(rules: Iterable[str]) -> bool:
    """Whether a pair was rejected because its answer is wrong, and at most for being a repeat besides."""
    found = set(rules)
    return bool(found & WRONG) and found <= WRONG | REPEATS


def _asked(pair: Exchange) -> tuple[str, ...]:
    return (*pair["image_ids"], normalized_text(without_marks(pair["conversations"][0]["value"])))


def _said(answer: str) -> str:
    return normalized_text(answer).rstrip(_ENDS)
