"""Plants questions that give their answer away among embedded dialogues and measures how the filters sort them out.

Run: ``python benchmarks/text_giveaways.py``. It needs no data folder: what is asked is read from texts alone, so every
prompt gets a small noise picture. A share of the questions of one kind, in every ability about single images, is asked
in a way that needs no picture:

- another name: "This is about the crimson umbrella. What color is the umbrella?", with one of the ability's other names
  for the answer, or another name of the color
- named: the same with the answer itself
- said twice: a yes-no question that says what there is before it asks
- odd option: an either-or question whose wrong option is the answer of another ability

What was planted is known to this file alone. Recall is the share of planted pairs that are found, whether another rule
rejects them too or not; lost are other pairs that are found.
"""

from __future__ import annotations

import argparse
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from arguments import positive
from PIL import Image

from stablellava_assets.abilities.ability import Ability, QuestionKind, Subject
from stablellava_assets.abilities.catalog import Catalog, load_catalog
from stablellava_assets.authors.embedded.author import EmbeddedAuthor
from stablellava_assets.filters.answerable import ANSWERABLE
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprints
from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.judge import judge
from stablellava_assets.filters.settings import AnswerableSettings, FilterSettings
from stablellava_assets.tables.encoded_images import EncodedImages
from stablellava_assets.tables.findings import REJECTS, rules_with
from stablellava_assets.tables.identity import choose, content_key, derive_seed
from stablellava_assets.tables.pair_rows import ImageToJudge, PaintedImage, WrittenSpec
from stablellava_assets.text.conversations import Turn

_SHADES: Mapping[str, str] = {
    "red": "crimson",
    "orange": "tangerine",
    "yellow": "lemon",
    "green": "emerald",
    "turquoise": "teal",
    "blue": "azure",
    "purple": "violet",
    "pink": "rosy",
    "brown": "chestnut",
    "black": "jet",
    "white": "snowy",
    "gray": "ashen",
}
_SIDE = 24
_SPAN = 2**63
_SETTINGS = FilterSettings(answerable=AnswerableSettings(max_share=0))

Spoiled = Callable[[Catalog, Ability, Subject, str, str], str | None]
"""A question that gives the answer away, from catalog, ability, subject, question and pair id; None where there is
none."""


def another_name(catalog: Catalog, ability: Ability, subject: Subject, question: str, pair_id: str) -> str | None:
    """Tells another name of the answer before the question."""
    others = [name for name in subject.accepted if subject.answer.lower() not in name.lower()]
    if subject.answer in _SHADES and ability.tinted:
        return f"This is about the {_SHADES[subject.answer]} {subject.details['thing']}. {question}"
    return f"This is about the {choose(others, pair_id, 'name')}. {question}" if others else None


def named(catalog: Catalog, ability: Ability, subject: Subject, question: str, pair_id: str) -> str:
    """Tells the answer before the question."""
    return f"This is about the {subject.name}. {question}"


def odd_option(catalog: Catalog, ability: Ability, subject: Subject, question: str, pair_id: str) -> str | None:
    """Offers an answer of another ability in place of the wrong option."""
    others = [other for other in catalog.single if other != ability.ability]
    stranger = choose(catalog.single[choose(others, pair_id, "ability")].answers, pair_id, "stranger")
    wrong = [answer for answer in ability.answers if answer != subject.answer and answer in question]
    wrong = [answer for answer in wrong if not any(answer in other for other in wrong if other != answer)]
    return question.replace(wrong[0], stranger) if len(wrong) == 1 else None


PLANTS: Mapping[str, tuple[QuestionKind, Spoiled]] = {
    "another name": ("what", another_name),
    "named": ("what", named),
    "said twice": ("yes_no", named),
    "odd option": ("either_or", odd_option),
}


def main() -> None:
    """Plant each kind of question alone, at several shares and sizes."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--prompts", type=positive, nargs="+", default=[150, 600], help="prompts an ability")
    arguments.add_argument("--shares", type=float, nargs="+", default=[0.05, 0.2, 0.5], help="of the kind's questions")
    given = arguments.parse_args()
    catalog = load_catalog()
    print("| prompts | planted | share of its kind | pairs planted | recall | rejected anyway | lost |")
    print("|---:|---|---:|---:|---:|---:|---:|")
    for prompts in given.prompts:
        clean = {name: written(ability, prompts) for name, ability in catalog.single.items()}
        for kind in PLANTS:
            for share in given.shares:
                print(f"| {prompts} | {kind} | {share} | {measured(catalog, clean, kind, share)} |", flush=True)


def written(ability: Ability, prompts: int) -> list[Candidate]:
    """A batch of the embedded author about noise."""
    author = EmbeddedAuthor()
    specs = author.write_prompts(author.plan_prompts(ability, "0001", prompts))
    painted: list[tuple[WrittenSpec, PaintedImage]] = [(spec, _image(spec["spec_id"])) for spec in specs]
    of_spec = {spec["spec_id"]: (spec, _image(spec["spec_id"])) for spec in specs}
    return [
        Candidate(dialogue, *of_spec[dialogue["spec_ids"][0]])
        for dialogue in author.write_dialogues(author.plan_dialogues(ability, painted))
    ]


def spoiled(
    catalog: Catalog, candidates: Sequence[Candidate], kind: str, share: float
) -> tuple[list[Candidate], set[str]]:
    """The candidates with a share of the questions of a kind planted, and the ids of these."""
    asked, spoil = PLANTS[kind]
    made, planted = [], set()
    for each in candidates:
        dialogue, pair_id = each.dialogue, each.dialogue["pair_id"]
        question = None
        if dialogue["question_kind"] == asked and derive_seed(pair_id, kind) < share * _SPAN:
            ability = catalog.single[dialogue["ability"]]
            subject = ability.subject_named(each.spec["subject"])
            question = spoil(catalog, ability, subject, dialogue["conversations"][0]["value"], pair_id)
        if question is not None:
            planted.add(pair_id)
            turns: list[Turn] = [{"from": "human", "value": question}, *dialogue["conversations"][1:]]
            each = replace(each, dialogue={**dialogue, "conversations": turns, "row_key": content_key(question)})
        made.append(each)
    return made, planted


def measured(catalog: Catalog, clean: Mapping[str, Sequence[Candidate]], kind: str, share: float) -> str:
    """The columns of a row of the table after the share."""
    counts: Counter[str] = Counter()
    for candidates in clean.values():
        made, planted = spoiled(catalog, candidates, kind, share)
        for row in judge(made, _pixels(made), [], BenchmarkFingerprints([], 2), _SETTINGS).rows:
            rules = set(rules_with(REJECTS, row["findings"]))
            one = "planted" if row["pair_id"] in planted else "clean"
            found = any(each["rule"] == ANSWERABLE for each in row["findings"])
            counts.update([one, *([f"{one} found"] if found else [])])
            counts.update([f"{one} otherwise"] if rules & {"question_gives_answer", "answer_not_offered"} else [])
    recall, otherwise = (counts[f"planted {by}"] / counts["planted"] for by in ("found", "otherwise"))
    return f"{counts['planted']:,} | {recall:.3f} | {otherwise:.3f} | {counts['clean found']:,} of {counts['clean']:,}"


def _pixels(candidates: Sequence[Candidate]) -> EncodedImages:
    wanted = {each.image["image_id"]: each.spec["spec_id"] for each in candidates}
    return lambda ids: ((image_id, _noise(wanted[image_id])) for image_id in wanted if image_id in ids)


def _image(spec_id: str) -> ImageToJudge:
    digest = hashlib.sha256(_noise(spec_id)).hexdigest()
    return {
        "image_id": f"image of {spec_id}",
        "spec_id": spec_id,
        "width": _SIDE,
        "height": _SIDE,
        "sha256": digest,
        "perceptual_hash": spec_id[:16],
        "row_key": digest,
    }


@cache
def _noise(spec_id: str) -> bytes:
    pixels = np.random.default_rng(derive_seed(spec_id)).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
