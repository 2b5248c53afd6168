"""What yes-no answers say, and POPE's figures of them."""

from __future__ import annotations

import pytest

from stablellava_assets.evaluation.scores.yes_no import verdict_of, yes_no_figures


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("Yes, there is.", "yes"),
        ("No.", "no"),
        ("There is not a dog in the image.", "no"),
        ("There isn't a dog in the image.", "no"),
        ("Not that I can see, yes?", "yes"),
        ("It is a koala.", None),
        ("A knotted rope.", None),
        ("Yeah, two of them.", "yes"),
        ("Yep.", "yes"),
        ("Yup", "yes"),
        ("Nope.", "no"),
        ("Nah", "no"),
        ("NO", "no"),
        ("There are none.", "no"),
        ("I cannot see one.", "no"),
        ("I can't see one.", "no"),
        ("True.", "yes"),
        ("False, it is a cat.", "no"),
        ("A true koala.", None),
        ("A stool without a back.", None),
        ("Yes, there is a person, but no dog.", "yes"),
        ("I don't know.", None),
        ("I don’t really know whether there is one or not.", None),
        ("I'm not sure.", None),
        ("I am not entirely certain.", None),
        ("I cannot tell.", None),
        ("You can't tell.", None),
        ("It is not possible to tell.", None),
        ("No idea.", None),
        ("It is unclear whether it is not a fox.", None),
        ("I'm not sure, but yes.", "yes"),
        ("", None),
    ],
)
def test_verdicts(answer: str, verdict: str | None) -> None:
    assert verdict_of(answer) == verdict


def test_figures_by_hand() -> None:
    # 3 hits, 1 false alarm, 2 misses (one of them undecided), 2 right rejections.
    said_and_true = [("yes", "yes")] * 3 + [("yes", "no"), ("no", "yes"), (None, "yes")] + [("no", "no")] * 2
    figures = yes_no_figures(said_and_true)  # type: ignore[arg-type]
    assert figures.precision == pytest.approx(3 / 4)
    assert figures.recall == pytest.approx(3 / 5)
    assert figures.f1 == pytest.approx(2 / (4 / 3 + 5 / 3))
    assert figures.yes_ratio == pytest.approx(4 / 8)
    assert figures.undecided == 1


def test_what_cannot_be_divided_is_unknown() -> None:
    figures = yes_no_figures([("no", "no"), ("no", "no")])
    assert (figures.precision, figures.recall, figures.f1, figures.yes_ratio) == (None, None, None, 0)
    with pytest.raises(ValueError, match="no answers"):
        yes_no_figures([])
