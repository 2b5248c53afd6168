"""Training data of the embedded base model: images that it synthesizes itself, with captions
and caption-matching questions.

LLaVA's base has a vision tower trained on captions, a language model that can read, and a projector aligned on
captions. The embedded base goes through the same three stages. It learns to name every subject and scene (a caption
consists of the prompt's keywords, like alt text on the web) and to match images with captions (as ALBEF and BLIP do).
It is never asked what the benchmark asks: which subject an image shows, whether a subject is present, or which of two.
Prompts use separate seeds, so no image occurs in the training set or in the benchmark.
"""

from __future__ import annotations

from collections.abc import Iterator

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.captions import CAPTION_REQUESTS, CAPTIONED, caption_of_facts
from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.abilities.prompts import draw_prompt
from stablellava_assets.abilities.questions import absent_subjects
from stablellava_assets.painters.base import Painter
from stablellava_assets.tables.identity import choose, content_key, derive_seed
from stablellava_assets.tables.pair_rows import Fact, PromptToPaint
from stablellava_assets.text.conversations import exchange, with_mark
from stablellava_assets.tuning.embedded.training_set import TrainingExample

_PHRASES = (*CAPTIONED, "style", "position")


class _Spec(PromptToPaint):
    subject: str
    keywords: list[str]
    facts: list[Fact]


def alignment_texts() -> Iterator[str]:
    """The fixed texts of the corpus, whose words the tokenizer needs in addition to those of the catalog."""
    yield from CAPTION_REQUESTS
    yield "Does this caption fit the picture:"
    yield "This is, so yes so no."


class AlignmentCorpus:
    """Conversations about ``count`` images, cycling through the abilities."""

    def __init__(self, catalog: Catalog, painter: Painter, count: int) -> None:
        abilities = list(catalog.single.values())
        specs = [_spec(abilities[index % len(abilities)], index) for index in range(count)]
        self._specs = {spec["spec_id"]: spec for spec in specs}
        self._conversations_by_image = {
            spec_id: _turns(spec, catalog.single[spec["ability"]]) for spec_id, spec in self._specs.items()
        }
        self._painter = painter
        self._pictures = painter.plan(specs)

    @property
    def key(self) -> str:
        """Hash of everything that determines the corpus: the keys of its images, and the conversations about them."""
        pictures = [row.row_key for row in self._pictures]
        return content_key("alignment corpus", pictures, list(self._conversations_by_image.values()))

    def phrases(self, image_id: str) -> list[str]:
        """The phrases of an image's prompt that are visible in it."""
        return [fact["value"] for fact in self._specs[image_id]["facts"] if fact["name"] in _PHRASES]

    def examples(self) -> Iterator[TrainingExample]:
        """Synthesize the images, in the order of the corpus, on which training depends. Those that fail are left
        out."""
        rows = self._painter.paint(self._pictures)
        painted = {row["spec_id"]: image["bytes"] for row in rows if (image := row["image"]) is not None}
        for spec_id, turns_of_image in self._conversations_by_image.items():
            if spec_id in painted:
                for question, answer in turns_of_image:
                    yield TrainingExample(spec_id, painted[spec_id], exchange(with_mark(question, True), answer))


def _spec(ability: Ability, index: int) -> _Spec:
    spec_id = content_key("alignment", ability.ability, index)
    prompt = draw_prompt(ability, spec_id)
    return {"spec_id": spec_id, "ability": ability.ability, "batch": "", "seed": derive_seed(spec_id), **prompt}


def _turns(spec: _Spec, ability: Ability) -> list[tuple[str, str]]:
    """A caption, and a question whether a caption (its own, or one with another subject) matches the image."""
    facts = {fact["name"]: fact["value"] for fact in spec["facts"]}
    parts = (spec["spec_id"], "alignment")
    caption = caption_of_facts(facts)
    other = choose(
        [subject.name for subject in absent_subjects(ability, ability.subject_named(facts["subject"]))], *parts
    )
    own = choose(("own", "other"), *parts, "claimed") == "own"
    stated = caption if own else caption_of_facts({**facts, "subject": other})
    # Within a sentence, a name has the same token as in every other answer.
    return [
        (choose(CAPTION_REQUESTS, *parts, "request"), f"This is {caption}."),
        (f"Does this caption fit the picture: {stated}?", f"This is {caption}, so {'yes' if own else 'no'}."),
    ]
