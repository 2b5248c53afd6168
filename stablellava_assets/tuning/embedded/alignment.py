"""Training data of the embedded base model: images that it synthesizes itself, one or several at a time, with captions
and caption-matching questions.

LLaVA's base has a vision tower trained on captions, a language model that can read, and a projector aligned on
captions. The embedded base goes through the same three stages. It learns to name every subject and scene (a caption
consists of the prompt's keywords, like alt text on the web), on request with style, position, distance and number, to
match images with captions (as ALBEF and BLIP do), and which of three images has another caption than the others.
It is never asked what the benchmark asks: which subject an image shows, whether a subject is present, or which of two.
Prompts use separate seeds, so no image occurs in the training set or in the benchmark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from random import Random

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.captions import (
    CAPTION_REQUESTS,
    CAPTIONED,
    WHOLE_CAPTION_REQUEST,
    caption_of_facts,
    whole_caption_of_facts,
)
from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.abilities.multi_image import listed, with_repeats
from stablellava_assets.abilities.placements import NUMBERS
from stablellava_assets.abilities.prompt_format import prompt_of
from stablellava_assets.abilities.prompts import DrawnPrompt, draw_prompt
from stablellava_assets.abilities.questions import absent_subjects
from stablellava_assets.painters.base import Painter
from stablellava_assets.tables.identity import choose, content_key, derive_seed
from stablellava_assets.tables.pair_rows import Fact, PromptToPaint, facts_of
from stablellava_assets.text.conversations import exchange, with_marks
from stablellava_assets.tuning.embedded.several import ORDINALS, in_order
from stablellava_assets.tuning.embedded.training_set import TrainingExample

_PHRASES = (*CAPTIONED, "style", "position", "number")
_COUNTED_SHARE = 4
"""One prompt of so many says how many things an image shows instead of where."""
_SEVERAL_REQUESTS = ("Describe the pictures.", "Caption these pictures.", "Write a caption for each picture.")
_SEVERAL_WHOLE_REQUEST = "Write the caption of each with all words."
_SEVERAL_SHARE = 2
"""One dialogue about several images for so many images."""
_ODD_REQUEST = "Which caption is unlike the others?"
_SAMPLED = 130
"""Images whose own keys are part of the corpus's; what they are drawn from is part of it for all."""


class _Spec(PromptToPaint):
    subject: str
    keywords: list[str]
    facts: list[Fact]


def alignment_texts() -> Iterator[str]:
    """The fixed texts of the corpus, whose words the tokenizer needs in addition to those of the catalog."""
    yield from (*CAPTION_REQUESTS, WHOLE_CAPTION_REQUEST)
    yield "Does this caption fit the picture:"
    yield "This is, so yes so no."
    yield from (
        *_SEVERAL_REQUESTS,
        _SEVERAL_WHOLE_REQUEST,
        _ODD_REQUEST,
        ", so unlike them is the.",
        with_repeats([""] * 2),
    )
    yield f"Which picture fits this caption: Does this caption fit the {' '.join(ORDINALS)} picture: so the."
    yield in_order([""] * 2)


class AlignmentCorpus:
    """Conversations about ``count`` images, cycling through the abilities, and about several of them at once.

    Corpora that begin at another ``first`` image share none.
    """

    def __init__(self, catalog: Catalog, painter: Painter, count: int, first: int = 0) -> None:
        self._catalog = catalog
        self._painter = painter
        self._count, self._first = count, first

    @property
    def key(self) -> str:
        """Hash of everything that determines the corpus: what prompts are drawn from, how it is painted, and what is
        said. Drawing all of it would take as long as reading it."""
        sample = self._drawn(min(self._count, _SAMPLED))
        drawn_from = [
            (ability.ability, ability.prompts, ability.drawn_subjects) for ability in self._catalog.single.values()
        ]
        pictures = [row.row_key for row in self._painter.plan(sample)]
        said = [_turns(spec, self._catalog.single[spec["ability"]]) for spec in sample]
        return content_key("alignment corpus", self._count, drawn_from, pictures, said, list(_about_several(sample)))

    def phrases(self, image_id: str) -> list[str]:
        """The phrases of an image's prompt that are visible in it."""
        return [fact["value"] for fact in self._specs[image_id]["facts"] if fact["name"] in _PHRASES]

    def examples(self, reduced: Callable[[str, bytes], bytes]) -> Iterator[TrainingExample]:
        """Synthesize the images, in the order of the corpus, on which training depends. Those that fail are left
        out.

        All are in memory together, so each is kept as ``reduced`` makes it of its id and bytes.
        """
        rows = self._painter.paint(self._painter.plan(list(self._specs.values())))
        painted = {
            row["spec_id"]: reduced(row["spec_id"], image["bytes"])
            for row in rows
            if (image := row["image"]) is not None
        }
        shown = [spec for spec_id, spec in self._specs.items() if spec_id in painted]
        for spec in shown:
            for question, answer in _turns(spec, self._catalog.single[spec["ability"]]):
                yield _example([spec], painted, question, answer)
        for specs, question, answer in _about_several(shown):
            yield _example(specs, painted, question, answer)

    @cached_property
    def _specs(self) -> dict[str, _Spec]:
        return {spec["spec_id"]: spec for spec in self._drawn(self._count)}

    def _drawn(self, count: int) -> list[_Spec]:
        abilities = list(self._catalog.single.values())
        return [
            _spec(ability, index, counted=index // len(abilities) % _COUNTED_SHARE == 0)
            for index in range(self._first, self._first + count)
            for ability in [abilities[index % len(abilities)]]
        ]


def _example(specs: Sequence[_Spec], painted: Mapping[str, bytes], question: str, answer: str) -> TrainingExample:
    ids = [spec["spec_id"] for spec in specs]
    turns = exchange(with_marks(question, len(ids)), answer)
    return TrainingExample(ids, [painted[spec_id] for spec_id in ids], turns)


def _spec(ability: Ability, index: int, counted: bool) -> _Spec:
    spec_id = content_key("alignment", ability.ability, index)
    prompt = draw_prompt(ability, spec_id)
    if counted:
        prompt = _with_number(prompt, choose(tuple(NUMBERS), spec_id, "number"))
    return {"spec_id": spec_id, "ability": ability.ability, "batch": "", "seed": derive_seed(spec_id), **prompt}


def _with_number(prompt: DrawnPrompt, number: str) -> DrawnPrompt:
    """A prompt with a number of things instead of their position and distance, if it has these."""
    placed = {fact["value"] for fact in prompt["facts"] if fact["name"] in ("position", "distance")}
    if not placed:
        return prompt
    facts: list[Fact] = [fact for fact in prompt["facts"] if fact["value"] not in placed]
    keywords = [*(word for word in prompt["keywords"] if word not in placed), NUMBERS[number]]
    return {
        **prompt,
        "prompt": prompt_of(prompt["subject"], keywords),
        "keywords": keywords,
        "facts": [*facts, {"name": "number", "value": number}],
    }


def _about_several(specs: Sequence[_Spec]) -> Iterator[tuple[list[_Spec], str, str]]:
    """Two or three images, a question and an answer: the captions in order, whole ones, which image a caption fits, and
    which of three captions is unlike the others.

    Half of the images are companions of one ability, and some of one subject, so that names must be told apart.
    """
    by_ability: dict[str, list[_Spec]] = {}
    by_subject: dict[str, list[_Spec]] = {}
    by_caption: dict[str, list[_Spec]] = {}
    for spec in specs:
        by_caption.setdefault(_caption(spec), []).append(spec)
        by_ability.setdefault(spec["ability"], []).append(spec)
        by_subject.setdefault(spec["subject"], []).append(spec)
    for spec in specs[::_SEVERAL_SHARE]:
        draw = Random(derive_seed(spec["spec_id"], "several"))
        shown = [spec]
        for _ in range(draw.choice((1, 1, 2))):
            others = draw.choice(
                (specs, by_ability[spec["ability"]], by_ability[spec["ability"]], by_subject[spec["subject"]])
            )
            shown.append(draw.choice(others))
        draw.shuffle(shown)
        captions = [_caption(each) for each in shown]
        yield shown, draw.choice(_SEVERAL_REQUESTS), f"This is {in_order(captions)}."
        yield shown, _SEVERAL_WHOLE_REQUEST, f"This is {in_order([_whole_caption(each) for each in shown])}."
        evidence = f"This is {listed(captions)}"
        claimed = draw.choice(captions)
        at = draw.randrange(len(shown))
        if draw.random() < 0.5 and captions.count(claimed) == 1:
            verdict = f"{claimed} {ORDINALS[captions.index(claimed)]}"
            yield shown, f"Which picture fits this caption: {claimed}?", f"{evidence}, so {verdict}."
        else:
            verdict = f"{ORDINALS[at]} {captions[at]}: {'yes' if captions[at] == claimed else 'no'}"
            yield shown, f"Does this caption fit the {ORDINALS[at]} picture: {claimed}?", f"{evidence}, so {verdict}."
        alike = [spec, draw.choice(by_caption[_caption(spec)])]
        if (unlike := _one_unlike(alike, by_ability[spec["ability"]], draw)) is not None:
            yield unlike[0], _ODD_REQUEST, unlike[1]


def _one_unlike(two: Sequence[_Spec], companions: Sequence[_Spec], draw: Random) -> tuple[list[_Spec], str] | None:
    """Two images of one caption and another image of the same ability, in any order, with the captions and the place of
    the third; None if every caption is the same."""
    caption = _caption(two[0])
    others = [spec for spec in draw.sample(companions, min(len(companions), 4)) if _caption(spec) != caption]
    if not others:
        return None
    shown = [*two, others[0]]
    draw.shuffle(shown)
    evidence = with_repeats([_caption(spec) for spec in shown])
    return shown, f"This is {evidence}, so unlike them is the {ORDINALS[shown.index(others[0])]}."


def _caption(spec: _Spec) -> str:
    return caption_of_facts(facts_of(spec))


def _whole_caption(spec: _Spec) -> str:
    return whole_caption_of_facts(facts_of(spec))


def _turns(spec: _Spec, ability: Ability) -> list[tuple[str, str]]:
    """A caption, a question whether a caption (its own, or one with another subject) matches the image, and the whole
    caption."""
    facts = facts_of(spec)
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
        (WHOLE_CAPTION_REQUEST, f"This is {whole_caption_of_facts(facts)}."),
    ]
