"""The abilities that ship: complete, drawable, and asked about in wordings that hold what the catalog promises."""

from __future__ import annotations

import re

import pytest

from stablellava_assets.abilities.ability import QUESTION_KINDS, Ability
from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.painters.embedded.sprites import sprite_files

CATALOG = load_catalog()
ABILITIES = [
    "abnormal", "action", "animal", "clothes", "color", "food", "furniture", "hair", "plant", "profession", "scene",
    "style", "vehicle",
]  # fmt: skip


def _words(template: str) -> set[str]:
    return set(re.findall(r"[A-Za-z']+", re.sub(r"\{\w+\}", "", template).lower()))


def test_the_thirteen_abilities_of_the_paper_are_built_in() -> None:
    assert list(CATALOG.single) == ABILITIES


@pytest.mark.parametrize("ability", CATALOG.single.values(), ids=list(CATALOG.single))
class TestEveryAbility:
    def test_has_enough_answers_to_be_worth_asking(self, ability: Ability) -> None:
        assert len(ability.answers) >= 12, ability.answers

    def test_has_a_picture_of_every_sprite(self, ability: Ability) -> None:
        for subject in ability.drawn_subjects:
            backdrop = subject.backdrop
            standing = [*backdrop.props, *backdrop.sky_props] if backdrop else []
            drawn = [sprite for layer in subject.layers for sprite in layer.sprites]
            assert all(sprite_files(sprite) for sprite in [*drawn, *standing]), subject.name

    def test_draws_skin_tones_where_it_says_so(self, ability: Ability) -> None:
        for subject in ability.drawn_subjects:
            for layer in subject.layers:
                if layer.skin_tones:
                    files = [sprite_files(sprite, skin_tones=True) for sprite in layer.sprites]
                    assert all(len(found) == 6 for found in files), subject.name

    def test_gives_a_chat_model_diverse_subjects(self, ability: Ability) -> None:
        keywords = [keyword.lower() for keyword in ability.chat.keywords]
        assert len(keywords) == len(set(keywords))
        assert len(keywords) >= 20
        assert len(ability.chat.dialogue_examples) >= 3

    def test_asks_the_benchmark_in_other_wordings_of_known_words(self, ability: Ability) -> None:
        trained = [ask for kind in QUESTION_KINDS for ask in getattr(ability.questions, kind).ask]
        known = set().union(*map(_words, trained))
        for kind in QUESTION_KINDS:
            for wording in getattr(ability.benchmark, kind):
                assert wording not in trained
                assert _words(wording) <= known, wording

    def test_says_what_is_seen_and_then_yes_or_no(self, ability: Ability) -> None:
        for verdict, answers in (("yes", ability.questions.yes_no.yes), ("no", ability.questions.yes_no.no)):
            for answer in answers:
                assert re.fullmatch(rf".*\{{(a_)?subject\}}, so {verdict}\.", answer)
                assert re.findall(r"\b(?:yes|no)\b", answer, re.IGNORECASE) == [verdict]

    def test_offers_both_options_and_names_one(self, ability: Ability) -> None:
        asked = [*ability.questions.either_or.ask, *ability.benchmark.either_or]
        assert all(re.search(r"\{(a_)?first\}.*\{(a_)?second\}", wording) for wording in asked)
        answers = [*ability.questions.what.answer, *ability.questions.either_or.answer]
        assert all(re.search(r"\{(a_)?subject\}", answer) for answer in answers)


@pytest.mark.parametrize("ability", ["animal", "plant", "vehicle", "food", "furniture", "profession", "scene"])
def test_articles_follow_the_answer(ability: str) -> None:
    for subject in CATALOG.single[ability].drawn_subjects:
        named = subject.with_article()
        if named.startswith(("a ", "an ")):
            assert named.startswith("an ") == (subject.answer[0].lower() in "aeiou"), named
        assert named.endswith(subject.answer)


def test_subjects_are_found_whatever_their_case() -> None:
    assert CATALOG.single["furniture"].subject_named("SOFA").answer == "sofa"
    assert CATALOG.single["clothes"].subject_named("t-shirt").answer == "T-shirt"
    with pytest.raises(KeyError, match=r"furniture.*throne"):
        CATALOG.single["furniture"].subject_named("throne")


def test_a_missing_ability_is_named_with_those_that_exist() -> None:
    with pytest.raises(KeyError, match=r"no ability 'mineral'.*animal"):
        CATALOG["mineral"]
