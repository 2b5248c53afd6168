"""Which option an answer chooses, and that it must be chosen wherever it stands."""

from __future__ import annotations

import pytest

from stablellava_assets.evaluation.answers.choices import choice_question, chosen_option, rotated
from stablellava_assets.evaluation.scores.scoring import score_answers
from stablellava_assets.evaluation.scores.yes_no import verdict_of
from stablellava_assets.text.keywords import holds_keywords
from stablellava_assets_tests.tables.made_up import Row

OPTIONS = ["a cat", "a dog", "a cat tree", "houses"]


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("B", "a dog"),
        ("B.", "a dog"),
        (" (C) a cat tree", "a cat tree"),
        ("**D**", "houses"),
        ("The answer is B.", "a dog"),
        ("Answer: C", "a cat tree"),
        ("I would take option D, since the roof is red.", "houses"),
        ("It must be (B), not the others.", "a dog"),
        ("A dog is in the picture.", "a dog"),
        ("A cat tree", "a cat tree"),
        ("There is a house in the picture.", "houses"),
        ("A dog and a house.", None),
        ("A bird.", None),
        ("E", None),
        ("The answer is a cat.", "a cat"),
        ("", None),
    ],
)
def test_chosen_options(answer: str, chosen: str | None) -> None:
    assert chosen_option(answer, OPTIONS) == chosen


@pytest.mark.parametrize(
    "answer",
    [
        "b",
        "(b)",
        "b.",
        '"B"',
        "B - a dog",
        "B. A dog",
        "B, since C is wrong.",
        "B\nA cat is not there.",
        "B is correct.",
        "Option B is correct.",
        "Option A is wrong, option B is right.",
        "The answer is B because there are two.",
        "The correct answer is B since it barks.",
        "The answer to this question is B.",
        "The answer is clearly B!",
        "The answer is B, not A.",
        "The answer is letter B.",
        "The correct choice would be B.",
        "The correct letter is B",
        "Answer: B because",
        "**Answer:** B",
        "Answer is B\nExplanation: it barks.",
        "A: a cat\nB: a dog\nAnswer: B",
        "It's B.",
        "I choose B.",
        "I would go with B, since it barks.",
    ],
)
def test_a_letter_is_read_in_a_sentence(answer: str) -> None:
    assert chosen_option(answer, OPTIONS) == "a dog"


@pytest.mark.parametrize(
    "answer",
    [
        "A, B",
        "A and B",
        "A/B",
        "(A) and (B)",
        "The answer is A or B.",
        "Option A or option B.",
        "The answer is not B.",
        "It's not B.",
        "Not option B.",
        "Option B isn't right.",
        "B is wrong.",
        "The man is in A building.",
        "Answer: A building.",
    ],
)
def test_what_names_no_letter_or_two(answer: str) -> None:
    assert chosen_option(answer, OPTIONS) is None


@pytest.mark.parametrize("answer", ["a", "A.", "A is correct.", "Answer: A because", "Option A shows it.", "It's A."])
def test_an_a_that_is_no_article_is_a_letter(answer: str) -> None:
    assert chosen_option(answer, OPTIONS) == "a cat"


def test_a_pronoun_and_an_abbreviation_are_no_letters() -> None:
    nine = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert chosen_option("I see two.", nine) == "two"
    assert chosen_option("i.e. two", nine) == "two"
    assert chosen_option("The answer I see is two.", nine) == "two"
    assert chosen_option("I", nine) == "nine"


@pytest.mark.parametrize(
    ("answer", "options", "chosen"),
    [
        ("space suit", ["a kimono", "a space suit"], "a space suit"),
        ("The face", ["its tail", "its face"], "its face"),
        ("cat", OPTIONS, "a cat"),
        ("A cat and dog.", OPTIONS, None),
        ("Her hat.", ["his hat", "her hat"], "her hat"),
        ("It is not a cat.", OPTIONS, None),
        ("It is a cat, not a dog.", OPTIONS, "a cat"),
        ("3.14", ["14", "3.14"], "3.14"),
        ("E. It is a dog", OPTIONS, "a dog"),
    ],
)
def test_options_are_known_by_their_words(answer: str, options: list[str], chosen: str | None) -> None:
    assert chosen_option(answer, options) == chosen


def test_every_rotation_offers_every_option() -> None:
    turned = [rotated(OPTIONS, rotation) for rotation in range(4)]
    assert [options[0] for options in turned] == OPTIONS
    assert all(sorted(options) == sorted(OPTIONS) for options in turned)
    assert choice_question("What is it?", turned[1]).splitlines()[:3] == ["What is it?", "A. a dog", "B. a cat tree"]


def _answers(model: str, item: str, rotations: str) -> list[Row]:
    return [
        {
            "answer_id": f"{model} {item} {rotation}",
            "checkpoint_id": "c",
            "model": model,
            "benchmark": "mmbench",
            "ability": "counting",
            "item_id": item,
            "question_kind": "choice",
            "correct": bit == "1",
            "answer": "",
            "accepted": [],
        }
        for rotation, bit in enumerate(rotations)
    ]


def test_a_choice_is_right_only_if_it_is_right_in_every_rotation() -> None:
    rows = [*_answers("base", "one", "1110"), *_answers("base", "two", "11"), *_answers("tuned", "one", "1111")]
    scores = {(row["model"], row["ability"]): row for row in score_answers(rows) if row["question_kind"] == "all"}
    assert (scores["base", "counting"]["correct"], scores["base", "counting"]["n"]) == (1, 2)
    assert (scores["tuned", "all"]["correct"], scores["tuned", "all"]["n"]) == (1, 1)


FOUR = ["a dog", "a cat", "a bird", "a house"]
CHINESE = ["狗", "猫", "鸟"]


@pytest.mark.parametrize(
    "answer",
    [
        "B",
        "Ｂ",
        "B。",
        "（B）",
        "【B】",
        "\\boxed{B}",
        "$\\boxed{\\text{B}}$",
        "<answer>B</answer>",
        "<answer> (B) </answer>",
        "#### B",
        "Answer: $B$",
        "Ans: B",
        "I believe B",
        "Based on the image, B",
        "`B`",
        "**B**",
        "*B*",
        "_B_",
        "__B__",
        "Answer: **B**",
        "**Answer: B**",
        "<think>It could be A. Or C.</think>B",
        "A? maybe A.</think>\n\nB",
        "<think>A or C</think>\n<answer>B</answer>",
        "<|begin_of_box|>B<|end_of_box|>",
        "Antwort: B",
        "Die richtige Antwort ist B.",
        "La réponse est B.",
        "La respuesta correcta es la B.",
        "La respuesta correcta es la opción B.",
        "A resposta correta é a letra B.",
        "A resposta é B.",
        "La risposta corretta è B.",
        "Ответ: B",
        "Правильный ответ: B",
        "Правильный ответ — B.",
        "Đáp án: B",
        "Đáp án là B.",
        "Jawaban: B",
        "正解はBです。",
        "答えはBです",
        "정답은 B입니다.",
        "정답: B",
        "الإجابة: B",
        "उत्तर: B",
        "答案：B",
        "正确答案是B。",
        "So the answer is\n\n**B**",
        "Final Answer: B",
        "The final answer is $\\boxed{B}$.",
        "The picture shows a bird and a dog.\nB",
        "It barks. B",
        "Therefore, the correct option is (B).",
        "The answer is: B. a cat",
        "[B]",
        "{B}",
        "<B>",
        "Option: B",
        "Svar: B",
        "Het antwoord is B.",
        "Odpowiedź: B",
        "Cevap: B",
        "The best answer is B",
        "best answer: B",
        "B: a cat",
        "B) a cat",
        "⒝",
        "Ⓑ",
        "Not A, but B.",
        "The answer is not A but B",
        "A is wrong, so B.",
        "不是A，是B",
        "Therefore, B is correct.",
        "Probably B.",
        "Looks like B",
        "ans: b",
        "Ans. B",
        "Answer -> B",
        "→ B",
        "- B",
        "✅ B",
        '{"answer": "B"}',
        '```json\n{"reason": "a tail", "answer": "B"}\n```',
        "{'answer': 'B'}",
        "B<|im_end|>",
        "<|im_start|>assistant\nB<|im_end|>",
        "<s> B</s>",
        "B<end_of_turn>",
        "A alternativa correta é B",
        "La opción correcta es B",
        "La opción B es correcta.",
        "Doğru cevap B'dir.",
        "คำตอบคือ B",
        "B項",
        "B가 정답입니다",
    ],
)
def test_letters_as_models_of_many_makes_and_languages_write_them(answer: str) -> None:
    assert chosen_option(answer, FOUR) == "a cat"


@pytest.mark.parametrize(
    "answer",
    [
        "B",
        "B. 猫",
        "B。",
        "B、猫",
        "（B）",
        "答案是B",
        "选B",
        "这是猫",
        "故选B。",
        "所以答案选B",
        "正确选项为B",
        "应该选B",
        "我选择B",
        "B是正确的",
        "答案为（B）",
        "答案：B。猫",
        "猫",
        "图中是一只猫。",
        "B：猫",
        "选项B",
        "选 B",
        "B猫",
        "答案是 B 因为它是猫",
        "因此，答案是B。",
        "<think>可能是A</think>答案：B",
        "综上，B",
        "答案应为B",
        "本题选B",
        "正确答案为：B",
    ],
)
def test_letters_and_words_in_chinese(answer: str) -> None:
    assert chosen_option(answer, CHINESE) == "猫"


@pytest.mark.parametrize(
    "answer",
    [
        "A dog and a house.",
        "A bird house is there and a dog",
        "<think>B it is, surely",
        "",
        "The answer is not B.",
        "La respuesta no es B.",
        "Die Antwort ist nicht B.",
        "答案不是B",
        "不选B",
        "不是B",
        "I think a dog or a cat",
        "I see it.",
        "In plan A there are two things.",
        "Vitamin C is good",
        "A or B",
        "A building.",
        "A plane",
        "Answer: A plane flies",
        "The best A student",
        "Correct me if A is wrong because",
        "\\boxed{}",
        "The correct answer depends on plan B and more",
        "T恤",
        "<answer></answer>",
        "La opción B no es correcta.",
        "Not A and not B",
        "So I cannot say.",
        "Perhaps I should look again",
        '{"answer": null}',
    ],
)
def test_words_negations_and_unfinished_thoughts_are_no_letters(answer: str) -> None:
    assert chosen_option(answer, FOUR if answer.isascii() else CHINESE) is None


@pytest.mark.parametrize(
    ("answer", "accepted", "right"),
    [
        ("cre\u0300me bru\u0302le\u0301e", "crème brûlée", True),
        ("ｋｏａｌａ", "koala", True),
        ("STRASSE", "straße", True),
        ("这是一只猫。", "猫", True),
        ("这不是猫。", "猫", False),
        ("ネコです", "ネコ", True),
        ("고양이입니다", "고양이", True),
        ("<think>a koala?</think>It is a lion.", "koala", False),
        ("<think>a lion?</think>It is a koala.", "koala", True),
        ("\\boxed{\\text{koala}}", "koala", True),
        ("<answer>koala</answer>", "koala", True),
        ("A ko\u00adala.</s>", "koala", True),
        ('{"answer": "koala"}', "koala", True),
        ('{"answer": "lion", "instead_of": "koala"}', "koala", False),
    ],
)
def test_keywords_in_every_form_of_unicode_and_behind_thoughts(answer: str, accepted: str, right: bool) -> None:
    assert holds_keywords(answer, [[accepted]], [], in_order=False) == right


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("<think>Yes? No, wait.</think>No.", "no"),
        ("maybe not... so yes</think>\nYes", "yes"),
        ("<answer>Yes</answer>", "yes"),
        ("Ｎｏ", "no"),
        ("No<|im_end|>", "no"),
        ('{"reason": "no tail", "answer": "yes"}', "yes"),
        ("<think>yes", None),
    ],
)
def test_verdicts_behind_thoughts(answer: str, verdict: str | None) -> None:
    assert verdict_of(answer) == verdict
