"""Pairs whose answer follows from the text of their question, as a guesser knows it from the other pairs of the batch.

A batch is read on its own, so that the order in which batches are filtered changes nothing. A clue is a word, two
neighboring words, the whole question, or how the question names answers of the batch ("Is the red umbrella red?" names
one twice). It gives an answer away if nearly all other questions with it have that answer, or, for the last kind,
the answer at the same place. From a single rare clue nothing follows; rare clues are judged by how often all of them
are right. Questions about what is not shown are left out: they are worded as another ability asks about its own
pictures, which has other batches.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import pairwise
from typing import NamedTuple

from stablellava_assets.abilities.absence import NOT_SHOWN
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.tables.findings import NOTES, OVERRULED, REJECTS, StoredFinding, finding
from stablellava_assets.tables.identity import derive_seed
from stablellava_assets.tables.pair_rows import Verdict
from stablellava_assets.text.conversations import HUMAN, said_by, without_marks
from stablellava_assets.text.keywords import words_of

ANSWERABLE = "answerable_without_picture"
"""Name of the rule. It is evaluated on every run, since the quota counts the kept pairs."""

_DOUBT = 4
"""Questions with another answer that every clue is assumed to have besides: a clue that was never wrong needs 16
others for a certainty of 0.8. It is the lower bound of Wilson's 95 % interval for such clues."""

_FORMS: Mapping[str, str] = {"yes_no": "yes_no", "either_or": "either_or", "misleading": "either_or"}
"""What the text shows of a kind. All other kinds look alike to a reader who does not see the image."""
_OPEN = "open"
_ROUNDING = 1e-9
_POLAR = frozenset({"yes", "no"})


_Key = tuple[str, str]
"""A form of question, with :data:`_NAMES` behind it for patterns of names, and the words or the pattern."""
_NAMES = ", names"


class _Clue(NamedTuple):
    """Something in a question, and the answer given with it, or that answer's place among the names in the question."""

    key: _Key
    answer: str | int


class Answerable:
    """Finds and caps the pairs of a batch whose answer the text gives away.

    Args:
        pairs: all pairs of the batch, whether they are kept or not.
        settings: certainty and quota, without which nothing is found.
    """

    def __init__(self, pairs: Sequence[Verdict], settings: FilterSettings) -> None:
        self._settings = settings.answerable
        self._only_noted = ANSWERABLE in settings.noted_only
        self._explanations = {} if self._settings is None else _given_away(pairs, self._settings.certainty)
        self._others = self._of_these = 0

    def last(self, pairs: Sequence[Verdict]) -> list[Verdict]:
        """The pairs in the order in which the quota takes them: answerable ones after all others, by a hash of their
        id."""
        return sorted(
            pairs,
            key=lambda pair: derive_seed(ANSWERABLE, pair["pair_id"]) if pair["pair_id"] in self._explanations else -1,
        )

    def finding(self, pair: Verdict) -> StoredFinding | None:
        """The finding on the next pair, which has those of all other rules. It rejects a pair above the quota."""
        if self._settings is None or (explanation := self._explanations.get(pair["pair_id"])) is None:
            return None
        share = self._settings.max_share_of(pair["ability"])
        is_within = self._of_these < math.floor(self._others * share / (1 - share) + _ROUNDING)
        # A person's decision came after the other rules, and stands already when a pair is judged again.
        is_out = any(found["outcome"] in (REJECTS, OVERRULED) for found in pair["findings"])
        if self._only_noted or is_within or is_out:
            return finding(ANSWERABLE, NOTES, explanation)
        return finding(ANSWERABLE, REJECTS, f"{explanation} Such pairs may be {share:.3g} of those that a batch keeps.")

    def keep(self, pair: Verdict) -> None:
        """Count a kept pair."""
        if pair["pair_id"] in self._explanations:
            self._of_these += 1
        else:
            self._others += 1


def _given_away(pairs: Sequence[Verdict], certainty: float) -> dict[str, str]:
    """An explanation for each pair whose answer follows from its question, by pair id."""
    pairs = [pair for pair in pairs if pair["expected"] is not None and pair["question_kind"] != NOT_SHOWN]
    given = Counter(answer for answer, _ in {(_answer(pair), tuple(pair["image_ids"])) for pair in pairs})
    named = {tuple(words_of(answer)): answer for answer in given if answer not in _POLAR}
    once = {answer for answer, count in given.items() if count == 1}
    seen = _Seen()
    clues = [seen.noted(pair["image_ids"], _clues(pair, named, once)) for pair in pairs]
    seen.count()
    others = [seen.others(pair["image_ids"], found) for pair, found in zip(pairs, clues, strict=True)]
    rare = [_most_frequent_agreeing(found) for found in others]
    tried = Counter(found.kind for found in rare if found is not None)
    right = Counter(found.kind for found in rare if found is not None and found.same)
    explained = {}
    for pair, found, clue in zip(pairs, others, rare, strict=True):
        sure = [each for each in found if each.same >= certainty * (each.having + _DOUBT)]
        if sure:
            said = max(sure, key=lambda each: (each.same / (each.having + _DOUBT), each.plainness)).said
            explained[pair["pair_id"]] = f"The text gives the answer: {said}."
        elif clue is not None and clue.same and right[clue.kind] - 1 >= certainty * (tried[clue.kind] - 1 + _DOUBT):
            explained[pair["pair_id"]] = (
                f"The text gives the answer: {clue.said}, and {right[clue.kind]} of {tried[clue.kind]} questions with "
                "a clue as rare are answered as it says."
            )
    return explained


class _Others(NamedTuple):
    """The questions about other images that have a clue: how many, with how many answers, and those with the same."""

    clue: _Clue
    having: int
    answers: int
    same: int

    @property
    def kind(self) -> tuple[str, int]:
        """Clues of a kind are in questions of one form and about equally frequent."""
        return self.clue.key[0], (self.having.bit_length() - 1) // 2

    @property
    def plainness(self) -> tuple[int, _Key]:
        """Largest for the shortest clue."""
        return -len(self.clue.key[1]), self.clue.key

    @property
    def said(self) -> str:
        """The counts as part of a sentence."""
        form, text = self.clue.key
        found = f"that name answers in the pattern {text}" if form.endswith(_NAMES) else f"with {text!r}"
        answer = self.clue.answer
        answered = f"by number {answer} of these" if isinstance(answer, int) else repr(answer)
        return f"of {self.having} questions about other images {found}, {self.same} are answered {answered}"


def _most_frequent_agreeing(found: Sequence[_Others]) -> _Others | None:
    """The most frequent clue with which all questions about other images have one answer."""
    agreeing = [each for each in found if each.answers == 1]
    return max(agreeing, key=lambda each: (each.having, each.same == 0, each.plainness), default=None)


class _Seen:
    """In how many images' questions each clue occurs, and with which answers. What is asked of one image twice, or in
    two ways, counts once: its answer is the same."""

    def __init__(self) -> None:
        self._clues: dict[_Clue, _Clue] = {}
        self._of_images: dict[tuple[str, ...], set[_Clue]] = {}
        self._counts: Counter[_Clue] = Counter()
        self._having: Counter[_Key] = Counter()
        self._answers: Counter[_Key] = Counter()

    def noted(self, image_ids: Sequence[str], clues: Iterable[_Clue]) -> list[_Clue]:
        """The clues of a question, each the first that is equal, so that a batch holds it once."""
        known = [self._clues.setdefault(clue, clue) for clue in clues]
        self._of_images.setdefault(tuple(image_ids), set()).update(known)
        return known

    def count(self) -> None:
        """Count the clues of all questions."""
        for of_image in self._of_images.values():
            self._counts.update(of_image)
        for clue, count in self._counts.items():
            self._having[clue.key] += count
            self._answers[clue.key] += 1

    def others(self, image_ids: Sequence[str], clues: Sequence[_Clue]) -> list[_Others]:
        """What questions about other images say of the clues of one question."""
        own = self._of_images[tuple(image_ids)]
        having = Counter(clue.key for clue in own)
        alone = Counter(clue.key for clue in own if self._counts[clue] == 1)
        return [
            _Others(
                clue,
                self._having[clue.key] - having[clue.key],
                self._answers[clue.key] - alone[clue.key],
                self._counts[clue] - 1,
            )
            for clue in clues
        ]


def _clues(pair: Verdict, named: Mapping[tuple[str, ...], str], once: Set[str]) -> Iterator[_Clue]:
    """The clues in the question, each once; ``named`` are the answers of the batch by their words, of which those about
    one image alone are in ``once``."""
    answer = _answer(pair)
    form, words = _FORMS.get(pair["question_kind"], _OPEN), words_of(_question(pair))
    texts = {*words, *(" ".join(two) for two in pairwise(words)), " ".join(words)}
    for text in sorted(texts):
        yield _Clue((form, text), answer)
    # That an answer is possible is known from other images.
    names = [name for name in _named_in(words, named) if name != answer or answer not in once]
    if names:
        places = {name: place for place, name in enumerate(dict.fromkeys(names), 1)}
        pattern = " ".join(str(places[name]) for name in names)
        yield _Clue((form + _NAMES, pattern), places.get(answer, answer))


def _named_in(words: Sequence[str], named: Mapping[tuple[str, ...], str]) -> list[str]:
    """The answers of the batch that the words name, in order and the longest at each place."""
    longest, found, at = max(map(len, named), default=0), [], 0
    while at < len(words):
        spans = (tuple(words[at : at + length]) for length in range(longest, 0, -1))
        span = next((each for each in spans if each in named), None)
        if span is not None:
            found.append(named[span])
        at += 1 if span is None else len(span)
    return found


def _question(pair: Verdict) -> str:
    """What is asked before the expected answer: the first question about one image, all turns about several."""
    asked = said_by(HUMAN, pair["conversations"])
    return without_marks(" ".join(asked if pair["further_prompts"] else asked[:1]))


def _answer(pair: Verdict) -> str:
    """What a right answer says."""
    return (pair["expected"] or "").casefold()
