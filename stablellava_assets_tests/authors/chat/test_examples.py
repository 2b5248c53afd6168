"""In-context examples: the ability's own at first, then what the filters kept; and what was seen stays what was
seen."""

from __future__ import annotations

import hashlib
from pathlib import Path

from stablellava_assets.authors.chat.examples import Example, ExamplePool, prompt_examples
from stablellava_assets.filters.settings import FilterSettings, PromptRuleSettings
from stablellava_assets.tables.schemas import PROMPT_SPECS
from stablellava_assets_tests.authors.chat.studio import CATALOG, Studio
from stablellava_assets_tests.fakes.chat_model import question_text
from stablellava_assets_tests.fakes.loopback import Counts
from stablellava_assets_tests.tables.made_up import but

ANIMAL = CATALOG["animal"]


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
    studio.settings = {"subjects": "drawn"}
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
    studio.settings = {"subjects": "drawn"}
    studio.whole_batch("animal", "0001", 12)
    kept = {example.text for example in prompt_examples(studio.store, ANIMAL, "0002").kept}
    assert kept
    assert prompt_examples(studio.store, ANIMAL, "0001").kept == ()
    strict = FilterSettings(prompt=PromptRuleSettings(max_keywords=1))
    studio.judge("animal", "0001", strict)
    assert prompt_examples(studio.store, ANIMAL, "0002").kept == ()
    noting = strict.model_copy(update={"noted_only": ("too_many_keywords",)})
    studio.judge("animal", "0001", noting)
    assert prompt_examples(studio.store, ANIMAL, "0002").kept == ()


def test_a_published_batch_keeps_its_examples_whatever_the_filters_say_later(studio: Studio, counts: Counts) -> None:
    studio.settings = {"subjects": "drawn"}
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
    studio.settings = {"subjects": "drawn"}
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
    known = ExamplePool(own, (near, far, farther), {})
    assert known.choose(3) == (*own, farther, far)
    assert known.choose(1) == own
    assert known.choose(9) == (*own, farther, far, near)


def test_examples_of_other_authors_are_not_taken(studio: Studio, tmp_path: Path) -> None:
    studio.settings = {"subjects": "drawn"}
    studio.whole_batch("animal", "0001", 12)
    rows = [but(row, author="embedded") for row in studio.rows(PROMPT_SPECS, "animal", "0001")]
    studio.store.publish(PROMPT_SPECS, ("animal", "0001"), PROMPT_SPECS.from_rows(rows))
    assert prompt_examples(studio.store, ANIMAL, "0002").kept == ()
