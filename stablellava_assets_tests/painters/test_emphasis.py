import pytest

from stablellava_assets.abilities.prompt_format import fragments_of, without_brackets


def test_brackets_put_weight_on_what_they_hold() -> None:
    assert fragments_of("((koala)), tree branch, (8k)") == [("koala", 2), (", tree branch, ", 0), ("8k", 1)]


def test_brackets_may_stand_in_brackets() -> None:
    assert fragments_of("a (red ((koala)) bear)") == [("a ", 0), ("red ", 1), ("koala", 3), (" bear", 1)]


@pytest.mark.parametrize(
    ("prompt", "fragments"),
    [
        ("((koala, tree", [("koala, tree", 0)]),
        ("koala)), tree", [("koala, tree", 0)]),
        ("((koala), tree", [("koala", 1), (", tree", 0)]),
        ("", [("", 0)]),
        ("(())", [("", 0)]),
    ],
)
def test_an_unbalanced_bracket_is_neither_weight_nor_text(prompt: str, fragments: list[tuple[str, int]]) -> None:
    assert fragments_of(prompt) == fragments


def test_a_painter_without_emphasis_reads_no_bracket() -> None:
    assert without_brackets("((koala)),  tree (branch") == "koala, tree branch"
