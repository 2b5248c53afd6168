"""In-context examples: the ability's own, and what was good in the batch that the profile names; and what
was seen stays what was seen."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.authors.chat.examples import Example, ExamplePool, ExamplesError, prompt_examples
from stablellava_assets.filters.settings import FilterSettings, PromptRuleSettings
from stablellava_assets.tables.findings import REJECTS, finding
from stablellava_assets.tables.schemas import FILTERED_PAIRS, PROMPT_SPECS, REJECTED_PAIRS
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.authors.chat.studio import CATALOG, Studio
from stablellava_assets_tests.fakes.chat_model import question_text
from stablellava_assets_tests.fakes.loopback import Counts
from stablellava_assets_tests.tables.made_up import but

ANIMAL = CATALOG.single["animal"]
FIRST = {"subjects": "drawn", "examples_from": "0001"}


def good(studio: Studio, batch: str) -> tuple[Example, ...]:
    return prompt_examples(studio.store, ANIMAL, batch, "0001").good


def shown_examples(counts: Counts, batch: str) -> list[str]:
    """The examples in the requests for a batch's prompts."""
    texts = [question_text(body) for body in counts.bodies.values()]
    (examples,) = {
        text.partition("# Examples")[2].partition("# Answer")[0] for text in texts if f"Batch {batch}, prompt" in text
    }
    return examples.strip().splitlines()[1:]


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_examples_grow_to_twenty_from_what_was_kept(studio: Studio, counts: Counts) -> None:
    studio.settings = FIRST
    studio.whole_batch("animal", "0001", 26)
    assert shown_examples(counts, "0001") == ANIMAL.chat.examples
    first = studio.rows(PROMPT_SPECS, "animal", "0001")
    assert {tuple(row["example_ids"]) for row in first} == {tuple(map(sha, ANIMAL.chat.examples))}
    plans = [studio.author().plan_prompts(ANIMAL, "0002", 10) for _ in range(2)]
    rows = studio.write_prompts("animal", "0002", 10)
    for plan in [*plans, studio.author().plan_prompts(ANIMAL, "0002", 10)]:
        assert [row.row_key for row in plan] == [row["row_key"] for row in rows]
    shown = shown_examples(counts, "0002")
    assert len(shown) == 20
    assert shown[:6] == ANIMAL.chat.examples
    assert set(shown[6:]) <= {row["prompt"] for row in first}
    assert {tuple(row["example_ids"]) for row in rows} == {tuple(map(sha, shown))}


def test_what_the_filters_rejected_or_noted_is_no_example(studio: Studio) -> None:
    studio.settings = FIRST
    studio.whole_batch("animal", "0001", 12)
    assert good(studio, "0002")
    assert good(studio, "0001") == ()
    strict = FilterSettings(prompt=PromptRuleSettings(max_keywords=1))
    studio.judge("animal", "0001", strict)
    assert good(studio, "0002") == ()
    noting = strict.model_copy(update={"noted_only": ("too_many_keywords",)})
    studio.judge("animal", "0001", noting)
    assert good(studio, "0002") == ()


def test_a_published_batch_keeps_its_examples_whatever_the_filters_say_later(studio: Studio, counts: Counts) -> None:
    studio.settings = FIRST
    studio.whole_batch("animal", "0001", 12)
    studio.whole_batch("animal", "0002", 10)
    prompts, dialogues = (studio.rows(table, "animal", "0002") for table in studio.written)
    asked = sum(counts.arrived.values())
    studio.judge("animal", "0001", FilterSettings(prompt=PromptRuleSettings(max_keywords=1)))
    assert studio.write_prompts("animal", "0002", 10) == prompts
    assert studio.write_dialogues("animal", "0002") == dialogues
    assert sum(counts.arrived.values()) == asked
    grown = studio.write_prompts("animal", "0002", 12)
    assert grown[:10] == prompts
    assert {tuple(row["example_ids"]) for row in grown} == {tuple(prompts[0]["example_ids"])}


def test_dialogues_have_examples_too(studio: Studio, counts: Counts) -> None:
    studio.settings = FIRST
    studio.whole_batch("animal", "0001", 12)
    studio.write_prompts("animal", "0002", 4)
    studio.paint("animal", "0002")
    rows = studio.write_dialogues("animal", "0002")
    assert {len(row["example_ids"]) for row in rows} == {20}
    about = "# Examples of good answers"
    texts = [question_text(body) for body in counts.bodies.values() if about in question_text(body)]
    examples = max((text.partition(about)[2].partition("# Picture")[0] for text in texts), key=len)
    blocks = [block.strip() for block in examples.split("Prompt: ") if block.strip()]
    assert len(blocks) == 20
    assert [sha(f"Prompt: {block}") for block in blocks] == rows[0]["example_ids"]
    assert all("Question: " in block and "Answer: " in block for block in blocks)


def test_the_kept_texts_least_like_the_others_come_first() -> None:
    own = (Example("((owl)), barn, dusk"),)
    near, far, farther = (
        Example(text) for text in ("((owl)), barn, night", "((owl)), sky, noon", "((newt)), pond, dew")
    )
    known = ExamplePool(own, (near, far, farther))
    assert known.choose(3) == (*own, farther, far)
    assert known.choose(1) == own
    assert known.choose(9) == (*own, farther, far, near)


def test_examples_of_other_authors_are_not_taken(studio: Studio, tmp_path: Path) -> None:
    studio.settings = FIRST
    studio.whole_batch("animal", "0001", 12)
    rows = [but(row, author="embedded") for row in studio.rows(PROMPT_SPECS, "animal", "0001")]
    studio.store.publish(PROMPT_SPECS, ("animal", "0001"), PROMPT_SPECS.from_rows(rows))
    assert good(studio, "0002") == ()


def test_examples_do_not_depend_on_what_is_finished(studio: Studio) -> None:
    studio.settings = FIRST
    studio.whole_batch("animal", "0001", 12)
    before = [row.row_key for row in studio.author().plan_prompts(ANIMAL, "0003", 10)]
    studio.whole_batch("animal", "0002", 12)
    assert [row.row_key for row in studio.author().plan_prompts(ANIMAL, "0003", 10)] == before
    studio.settings = {"subjects": "drawn"}
    empty = Studio(studio.folder / "empty", studio.endpoint["base_url"])
    for each in (studio, empty):
        each.settings = {"subjects": "drawn"}
    plans = [[row.row_key for row in each.author().plan_prompts(ANIMAL, "0003", 10)] for each in (studio, empty)]
    assert plans[0] == plans[1]


def test_repeats_of_other_batches_do_not_matter(studio: Studio) -> None:
    studio.settings = FIRST
    studio.whole_batch("animal", "0001", 12)
    before = good(studio, "0002")
    kept = studio.rows(FILTERED_PAIRS, "animal", "0001")
    repeat = finding("repeated_prompt", REJECTS, "The prompt is that of pair other.", "other")
    rejected = [but(row, findings=[*row["findings"], repeat]) for row in kept]
    studio.store.publish(FILTERED_PAIRS, ("animal", "0001"), FILTERED_PAIRS.from_rows([]))
    studio.store.publish(REJECTED_PAIRS, ("animal", "0001"), REJECTED_PAIRS.from_rows(rejected))
    assert good(studio, "0002") == before


def test_a_named_batch_that_is_not_filtered_is_an_error_with_the_command(studio: Studio) -> None:
    studio.settings = FIRST
    studio.write_prompts("animal", "0001", 4)
    with pytest.raises(
        ExamplesError, match=r"examples of animal\|0002 come from animal\|0001, which has not been"
    ) as told:
        studio.author().plan_prompts(ANIMAL, "0002", 4)
    assert "--select '*filtered_pairs' --partition 'animal|0001'" in str(told.value)


def test_planning_reads_one_batch_however_many_there_are(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    studio.settings = FIRST
    studio.whole_batch("animal", "0001", 12)
    for number in range(2, 12):
        for table in (PROMPT_SPECS, FILTERED_PAIRS, REJECTED_PAIRS):
            rows = table.from_rows(studio.rows(table, "animal", "0001"))
            studio.store.publish(table, ("animal", f"{number:04d}"), rows)
    read: list[tuple[str, ...]] = []
    open_file = ParquetStore.open

    def noting(self: ParquetStore, table: Any, partition: tuple[str, ...], columns: Any = None) -> Any:
        read.append(partition)
        return open_file(self, table, partition, columns)

    monkeypatch.setattr(ParquetStore, "open", noting)
    studio.author().plan_prompts(ANIMAL, "0020", 10)
    assert set(read) == {("animal", "0001"), ("animal", "0020")}
