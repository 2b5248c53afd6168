"""Gates catch what they are for: planted mistakes in real tables, judged by the real Great Expectations."""

from __future__ import annotations

from typing import Any

import pytest

from stablellava_assets.authors.base import NOT_ASKED
from stablellava_assets.checks import dialogues, filtered_pairs, images, prompt_specs
from stablellava_assets.checks.diversity import vendi_score
from stablellava_assets.checks.gates import Gate, GateError, GateSettings, Suite, always, validate
from stablellava_assets.tables.schemas import (
    DEFERRED,
    DIALOGUES,
    FAILED,
    FILTERED_PAIRS,
    IMAGES,
    OF_BUDGET,
    OF_ENDPOINT,
    PROMPT_SPECS,
)
from stablellava_assets_tests.painters.specs import painted
from stablellava_assets_tests.painters.specs import spec as painted_spec
from stablellava_assets_tests.published_pairs import ANIMALS
from stablellava_assets_tests.tables.made_up import Row, but
from stablellava_assets_tests.tables.rows_of import spec
from stablellava_assets_tests.verdicts import found


def judge(rows: list[Row], **settings: Any) -> dict[str, bool]:
    data = PROMPT_SPECS.from_rows([but(row, run_id="run") for row in rows])
    return {result.gate: result.passed for result in validate(prompt_specs.SUITE, data, GateSettings(**settings))}


def failed_gates(rows: list[Row], **settings: Any) -> set[str]:
    return {gate for gate, passed in judge(rows, **settings).items() if not passed}


def specs(count: int) -> list[Row]:
    """Good rows about ten subjects in turn."""
    return [{**spec(index), "subject": ANIMALS[index % 10]} for index in range(count)]


def dialogue(index: int, kind: str, expected: str, question: str = "<image>\nIs it?") -> Row:
    return {
        "pair_id": str(index),
        "ability": "animal",
        "batch": "0001",
        "spec_ids": ["spec"],
        "image_ids": ["image"],
        "conversations": [
            {"from": "human", "value": question},
            {"from": "gpt", "value": "It is" + " so" * (index % 4) + "."},
        ],
        "question_kind": kind,
        "expected": expected,
        "author": "test",
        **NOT_ASKED,
        "sees_picture": None,
        "row_key": "key",
        "status": "made",
        "reason": None,
        "run_id": "run",
    }


def failed_dialogue_gates(rows: list[Row], **settings: Any) -> set[str]:
    results = validate(dialogues.SUITE, DIALOGUES.from_rows(rows), GateSettings(**settings))
    return {result.gate for result in results if not result.passed}


def test_good_rows_pass_every_gate() -> None:
    assert judge(specs(20)) == dict.fromkeys([gate.name for gate in prompt_specs.SUITE.gates], True)


def test_planted_mistakes_are_caught() -> None:
    good = specs(20)
    assert failed_gates([*good, good[3]]) == {"ids_are_unique", "seeds_differ"}
    assert failed_gates([*good, {**spec(20), "subject": ""}]) == {"subjects_are_named"}
    failed = {**spec(20), "status": FAILED, "reason": None}
    assert failed_gates([*good, failed]) == {"reasons_are_given"}


def test_too_many_failed_rows_are_refused_unless_the_profile_allows_them() -> None:
    rows = [*specs(10), *(spec(index, status=FAILED) for index in range(10, 20))]
    assert failed_gates(rows) == {"enough_rows_made"}
    assert failed_gates(rows, min_made_prompts=0.5) == set()


def waiting(index: int) -> Row:
    return {**spec(index, status=DEFERRED), "reason": "any words", "fault": OF_BUDGET}


def test_rows_that_wait_for_a_larger_budget_are_held_against_nobody() -> None:
    rows = [*(waiting(index) for index in range(30)), *specs(50)[30:]]
    assert failed_gates(rows) == set()
    assert failed_gates([waiting(index) for index in range(30)]) == set()
    down = {**spec(50, status=DEFERRED), "reason": "budget reached: so it says", "fault": OF_ENDPOINT}
    assert failed_gates([*specs(10), down]) == {"enough_rows_made"}


def test_no_subject_may_dominate_unless_the_profile_allows_it() -> None:
    koalas = [spec(index) for index in range(20)]
    assert failed_gates(koalas) == {"subjects_are_even", "no_subject_dominates"}
    assert failed_gates(koalas, min_subject_entropy=0.0, max_top_subject_share=1.0) == set()
    mostly = [*koalas, *({**spec(index), "subject": "Koala"} for index in range(20, 30)), *specs(50)[30:]]
    assert failed_gates(mostly, min_vendi_score=1) == {"no_subject_dominates"}
    assert failed_gates(koalas[:9]) == set(), "too few to tell"


def test_a_batch_that_collapses_to_two_subjects_is_not_even() -> None:
    two = [{**spec(index), "subject": ("koala", "owl")[index % 2]} for index in range(20)]
    assert failed_gates(two) == {"subjects_are_even"}


def test_an_empty_batch_is_refused_unless_the_profile_allows_it() -> None:
    assert failed_gates([]) == {"has_rows"}
    assert failed_gates([], allow_empty=True) == set()


def test_yes_and_no_must_balance() -> None:
    balanced = [dialogue(index, "yes_no", "yes" if index % 2 else "no") for index in range(10)]
    assert failed_dialogue_gates(balanced) == set()
    assert failed_dialogue_gates([dialogue(index, "yes_no", "yes") for index in range(10)]) == {"yes_and_no_balance"}
    assert failed_dialogue_gates([dialogue(index, "describe", "") for index in range(10)]) == set()


def test_image_marks_must_match_the_pictures() -> None:
    rows = [dialogue(0, "what", "koala"), dialogue(1, "what", "koala", "What is it?")]
    assert failed_dialogue_gates(rows) == {"image_marks_match"}


def prompts_of(subjects: int, scenes: int, count: int = 120) -> list[str]:
    return [f"((subject {n % subjects})), scene {n % scenes}, realistic, 8k" for n in range(count)]


def test_the_vendi_score_is_the_effective_number_of_different_prompts() -> None:
    assert vendi_score(["((koala)), zoo, 8k"] * 60) == pytest.approx(1)
    assert vendi_score([f"((koala {n})), zoo {n}" for n in range(60)]) == pytest.approx(60)
    assert vendi_score([f"((koala {n % 4})), zoo {n % 4}" for n in range(400)]) == pytest.approx(4, abs=0.01)
    whole, part = prompts_of(11, 13, 2000), prompts_of(11, 13, 256)
    assert vendi_score(whole) == pytest.approx(vendi_score(part), rel=0.02)
    assert vendi_score(["((koala))"] * 49) is None
    assert vendi_score(["", None, "((", *["((koala))"] * 49]) is None


def test_a_batch_that_collapses_into_few_prompts_is_refused() -> None:
    def rows(prompts: list[str]) -> list[Row]:
        return [{**spec(n, prompt=prompt), "subject": f"subject {n % 10}"} for n, prompt in enumerate(prompts)]

    assert failed_gates(rows(prompts_of(11, 13))) == set()
    assert failed_gates(rows(prompts_of(11, 1))) == {"prompts_are_diverse"}
    assert failed_gates(rows(prompts_of(11, 1)), min_vendi_score=1) == set()
    assert failed_gates(rows(prompts_of(1, 1))) == {"prompts_are_diverse"}


def asked(kinds: str) -> list[Row]:
    """Conversations: w what, y yes, n no, m of several turns."""
    of = {"w": ("what", "koala"), "y": ("yes_no", "yes"), "n": ("yes_no", "no"), "m": ("multi_turn", "koala")}
    return [dialogue(index, *of[kind]) for index, kind in enumerate(kinds)]


def test_every_kind_of_question_has_its_quota() -> None:
    quotas = {"min_question_kind_shares": {"what": 0.25, "yes_no": 0.5}}
    assert failed_dialogue_gates(asked("wwwyn" * 10), **quotas) == {"question_kinds_meet_quotas"}
    assert failed_dialogue_gates(asked("wwyn" * 10), **quotas) == set()
    assert failed_dialogue_gates(asked("yn" * 10), **quotas) == {"question_kinds_meet_quotas"}
    assert failed_dialogue_gates(asked("w" * 20)) == set()
    assert failed_dialogue_gates(asked("w" * 20), max_question_kind_share=0.9) == {"no_question_kind_dominates"}
    assert failed_dialogue_gates(asked("w" * 9), **quotas) == set(), "too few to tell"
    assert failed_dialogue_gates(asked("m" * 20), **quotas) == set(), "they ask questions of several kinds"
    assert failed_dialogue_gates(asked("mwyn" * 10), min_question_kind_shares={"multi_turn": 0.5}) != set()


def test_answers_that_are_all_of_one_length_are_refused() -> None:
    rows = [{**row, "conversations": asked("w")[0]["conversations"]} for row in asked("wyn" * 10)]
    assert failed_dialogue_gates(rows) == {"answer_lengths_vary"}
    assert failed_dialogue_gates(rows, min_answer_length_spread=0) == set()


def verdict(index: int, *, hedged: bool = False, rejected: bool = False, **values: Any) -> Row:
    prompt = f"((subject {index % 11})), scene {index % 13}, 8k"
    row = {**dict.fromkeys(FILTERED_PAIRS.schema.names), **dialogue(index, "what", "koala")}
    return {name: row[name] for name in FILTERED_PAIRS.schema.names} | {
        "prompt": prompt,
        "subject": f"subject {index % 11}",
        "findings": found("blank_image" if rejected else "", "hedged_answer" if hedged else ""),
        **values,
    }


def failed_pair_gates(rows: list[Row], **settings: Any) -> set[str]:
    results = validate(filtered_pairs.SUITE, FILTERED_PAIRS.from_rows(rows), GateSettings(**settings))
    return {result.gate for result in results if not result.passed}


def test_what_is_kept_must_not_collapse() -> None:
    good = [verdict(index) for index in range(100)]
    assert failed_pair_gates(good) == set()
    hedged = [verdict(index, hedged=index % 3 == 0) for index in range(100)]
    assert failed_pair_gates(hedged) == {"few_answers_hedge"}
    assert failed_pair_gates(hedged, max_hedged_share=0.5) == set()
    # Evenly written, and only one subject and its prompts got through.
    left = [verdict(index, rejected=index % 11 > 0) for index in range(1100)]
    assert failed_pair_gates(left, min_kept_pairs=0) == {"kept_subjects_are_even"}
    alike = [
        verdict(index, prompt=f"((subject {index % 11})), zoo, at dawn, realistic, soft light, 8k, {index}k")
        for index in range(100)
    ]
    assert failed_pair_gates(alike) == {"kept_prompts_are_diverse"}
    assert failed_pair_gates([verdict(index, rejected=True) for index in range(100)], min_kept_pairs=0) == set()


def test_a_gate_about_a_number_reports_it() -> None:
    results = validate(dialogues.SUITE, DIALOGUES.from_rows(asked("wwyn" * 10)), GateSettings())
    values = {result.gate: result.value for result in results}
    assert values["no_question_kind_dominates"] == 0.5
    assert values["answer_lengths_vary"] == pytest.approx(1.118, abs=0.001)
    assert values["image_marks_match"] is None
    few = {result.gate: result for result in validate(dialogues.SUITE, DIALOGUES.from_rows(asked("w")), GateSettings())}
    assert few["answer_lengths_vary"].observed == "too few rows to tell"
    assert few["answer_lengths_vary"].value is None


OF_SUBJECTS = {"subjects_are_even", "no_subject_dominates"}
OF_CONVERSATIONS = {"question_kinds_meet_quotas", "no_question_kind_dominates", "few_things_are_not_shown"}
OF_PAIRS = {*OF_CONVERSATIONS, "kept_subjects_are_even", "few_answers_hedge"}


@pytest.mark.parametrize(
    ("rows", "specs_untold", "dialogues_untold", "pairs_untold"),
    [
        (
            9,
            {*OF_SUBJECTS, "prompts_are_diverse"},
            {*OF_CONVERSATIONS, "answer_lengths_vary"},
            {*OF_PAIRS, "kept_prompts_are_diverse"},
        ),
        (10, {"prompts_are_diverse"}, set(), {"kept_prompts_are_diverse"}),
        (49, {"prompts_are_diverse"}, set(), {"kept_prompts_are_diverse"}),
        (50, set(), set(), set()),
    ],
)
def test_so_many_rows_a_gate_needs_to_tell(
    rows: int, specs_untold: set[str], dialogues_untold: set[str], pairs_untold: set[str]
) -> None:
    """What docs/filters.md says of small batches."""

    def unmeasured_gates(suite: Suite, data: list[Row]) -> set[str]:
        results = validate(suite, suite.table.from_rows(data), GateSettings())
        return {result.gate for result in results if result.observed == "too few rows to tell"}

    assert unmeasured_gates(prompt_specs.SUITE, [{**row, "run_id": "run"} for row in specs(rows)]) == specs_untold
    assert unmeasured_gates(dialogues.SUITE, asked("w" * rows)) == dialogues_untold
    rejected = [verdict(index, rejected=True) for index in range(rows, rows + 60)]
    assert (
        unmeasured_gates(filtered_pairs.SUITE, [*(verdict(index) for index in range(rows)), *rejected]) == pairs_untold
    )


def test_a_gate_that_cannot_be_evaluated_is_an_error_and_not_a_verdict() -> None:
    broken = Gate("broken", "Looks at no column.", "ExpectColumnValuesToBeUnique", always(column="nowhere"))
    data = PROMPT_SPECS.from_rows([but(spec(0), run_id="run")])
    with pytest.raises(GateError, match="'broken' could not be evaluated"):
        validate(Suite(PROMPT_SPECS, (broken,)), data, GateSettings())


@pytest.mark.parametrize(("share", "passed"), [(0.95, False), (0.3, True)])
def test_rows_may_share_pictures_as_far_as_the_profile_says(share: float, passed: bool) -> None:
    (row,), other = painted(painted_spec("((elephant))")), painted(painted_spec("((turtle))"))
    rows = [{**row, "image_id": str(index)} for index in range(2)] + other
    data = IMAGES.from_rows([but(each, run_id="run") for each in rows])
    results = {
        each.gate: each.passed for each in validate(images.SUITE, data, GateSettings(min_different_pictures=share))
    }
    assert results.pop("pictures_differ") is passed
    assert set(results.values()) == {True}


def test_rows_that_a_gate_refuses_are_named_with_what_is_wrong_in_them() -> None:
    rows = [dialogue(0, "what", "koala"), *(dialogue(index, "what", "koala", "What is it?") for index in (1, 2, 3))]
    found = {result.gate: result for result in validate(dialogues.SUITE, DIALOGUES.from_rows(rows), GateSettings())}
    assert found["image_marks_match"].observed == (
        "3 of 4 rows, for example 1 (surplus_marks -1), 2 (surplus_marks -1)"
    )
    assert found["image_marks_match"].message.endswith("(A conversation has one <image> mark per image)")


def test_what_a_gate_asks_names_its_setting() -> None:
    data = PROMPT_SPECS.from_rows([but(spec(index), run_id="run") for index in range(20)])
    found = {result.gate: result.message for result in validate(prompt_specs.SUITE, data, GateSettings())}
    assert "and should be at most 0.5 (" in found["no_subject_dominates"]
    assert "gates.max_top_subject_share" in found["no_subject_dominates"]


@pytest.mark.parametrize(
    "conversations", [None, [], [{"from": None, "value": "x"}], [{"from": "", "value": None}]], ids=range(4)
)
def test_conversations_that_are_none_are_refused_and_no_error(conversations: Any) -> None:
    assert "turns_alternate" in failed_dialogue_gates(
        [dialogue(0, "what", "koala"), {**dialogue(1, "what", "koala"), "conversations": conversations}]
    )


def test_prompts_without_a_subject_are_refused_and_no_error() -> None:
    assert failed_gates([*specs(20), {**spec(20), "subject": ""}, {**spec(21), "subject": None}]) == {
        "subjects_are_named"
    }
