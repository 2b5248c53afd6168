"""What the embedded base model sees: pictures it paints itself, their captions, and whether a caption fits.

LLaVA's base has a vision tower that learned from captions, a language model that can read, and a projector aligned on
captions; the embedded one goes through the same three lessons. It learns to name every subject and every scene (a
caption is the prompt's own keywords, as alt text is on the web), and to match pictures with captions (as ALBEF and BLIP do).
It is never asked about a picture what the benchmark asks: which subject it is, whether a subject is there, or which of two.
The prompts are drawn under seeds of their own: no picture is one of the training set or of the benchmark.
"""

from __future__ import annotations

from collections.abc import Iterator

from stablellava_assets.abilities.captions import CAPTION_REQUESTS, CAPTIONED, caption_of_facts
from stablellava_assets.abilities.catalog import Ability, Catalog
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
    """Every word of the corpus that is not the catalog's, for the tokenizer."""
    yield from CAPTION_REQUESTS
    yield "Does this caption fit the picture:"
    yield "This is, so yes so no."


class AlignmentCorpus:
    """Conversations about ``count`` pictures, the abilities in turn."""

    def __init__(self, catalog: Catalog, painter: Painter, count: int) -> None:
        abilities = list(catalog.values())
        specs = [_spec(abilities[index % len(abilities)], index) for index in range(count)]
        self._specs = {spec["spec_id"]: spec for spec in specs}
        self._said = {spec_id: _turns(spec, catalog[spec["ability"]]) for spec_id, spec in self._specs.items()}
        self._painter = painter
        self._pictures = painter.plan(specs)

    @property
    def key(self) -> str:
        """A hash of everything that determines the corpus: the pictures' own keys, and what is said about them."""
        pictures = [row.row_key for row in self._pictures]
        return content_key("alignment corpus", pictures, list(self._said.values()))

    def phrases(self, image_id: str) -> list[str]:
        """What the prompt of a picture says that can be seen in it."""
        return [fact["value"] for fact in self._specs[image_id]["facts"] if fact["name"] in _PHRASES]

    def examples(self) -> Iterator[TrainingExample]:
        """Paint the pictures; those that cannot be painted are left out. The order, which training depends on, is the corpus's."""
        rows = self._painter.paint(self._pictures)
        painted = {row["spec_id"]: image["bytes"] for row in rows if (image := row["image"]) is not None}
        for spec_id, said in self._said.items():
            if spec_id in painted:
                for question, answer in said:
                    yield TrainingExample(spec_id, painted[spec_id], exchange(with_mark(question, True), answer))


def _spec(ability: Ability, index: int) -> _Spec:
    spec_id = content_key("alignment", ability.ability, index)
    prompt = draw_prompt(ability, spec_id)
    return {"spec_id": spec_id, "ability": ability.ability, "batch": "", "seed": derive_seed(spec_id), **prompt}


def _turns(spec: _Spec, ability: Ability) -> list[tuple[str, str]]:
    """A caption, and whether a caption, its own or one with another subject in it, is the picture's."""
    facts = {fact["name"]: fact["value"] for fact in spec["facts"]}
    parts = (spec["spec_id"], "alignment")
    caption = caption_of_facts(facts)
    other = choose(
        [subject.name for subject in absent_subjects(ability, ability.subject_named(facts["subject"]))], *parts
    )
    own = choose(("own", "other"), *parts, "claimed") == "own"
    claimed = caption if own else caption_of_facts({**facts, "subject": other})
    # Inside a sentence, a name is the same token as in every other answer.
    return [
        (choose(CAPTION_REQUESTS, *parts, "request"), f"This is {caption}."),
        (f"Does this caption fit the picture: {claimed}?", f"This is {caption}, so {'yes' if own else 'no'}."),
    ]
