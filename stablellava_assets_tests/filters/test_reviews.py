"""Files of people's decisions: what is read, and how a mistake in one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from stablellava_assets.filters.review.reviews import Review, ReviewError, read_reviews


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_file_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "ada.csv",
        '\ufeffpair_id,decision,reviewer,note\r\nfirst,keep,Ada,"clear, and\nright"\r\n\r\nsecond,reject,Ada,\r\n',
    )
    assert read_reviews([path]) == {
        "first": Review(pair_id="first", decision="keep", reviewer="Ada", note="clear, and right"),
        "second": Review(pair_id="second", decision="reject", reviewer="Ada", note=""),
    }


def test_a_jsonl_file_is_read_and_the_note_may_be_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, "bo.jsonl", '{"pair_id": "first", "decision": "reject", "reviewer": "Bo"}\n\n')
    assert read_reviews([path])["first"] == Review(pair_id="first", decision="reject", reviewer="Bo")


def test_the_later_line_and_the_later_file_hold(tmp_path: Path) -> None:
    line = '{{"pair_id": "{}", "decision": "{}", "reviewer": "{}"}}\n'
    ada = written(tmp_path, "a.jsonl", line.format("one", "keep", "Ada") + line.format("one", "reject", "Ada"))
    bo = written(tmp_path, "b.jsonl", line.format("two", "keep", "Bo"))
    both = read_reviews([ada, bo])
    assert (both["one"].decision, both["two"].reviewer) == ("reject", "Bo")
    later = written(tmp_path, "c.jsonl", line.format("one", "keep", "Cy"))
    assert read_reviews([ada, bo, later])["one"].reviewer == "Cy"


@pytest.mark.parametrize(
    "text",
    [
        "pair_id,decision,reviewer\none, Keep ,Ada\n",
        "sep=;\npair_id;decision;reviewer\none;keep;Ada\n",
        "sep=,\r\npair_id,decision,reviewer\r\none,KEEP,Ada\r\n",
    ],
)
def test_decisions_as_spreadsheets_and_people_write_them(tmp_path: Path, text: str) -> None:
    assert read_reviews([written(tmp_path, "a.csv", text)])["one"].decision == "keep"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "a.csv",
            "pair_id,decision,reviewer\none,keep,Ada\ntwo,kep,Ada\n",
            ":3: decision: input should be 'keep' or 'reject'",
        ),
        ("a.csv", 'pair_id,decision,reviewer,note\none,keep,Ada,"a\nb"\ntwo,,Ada,\n', ":4: decision: "),
        ("a.csv", "pair_id,decision,reviewer\none,keep\n", ":2: reviewer: is missing"),
        (
            "a.csv",
            "pair_id,decision,reviewer\none,keep,Ada,why,more\n",
            ":2: column 4: is none of pair_id, decision, reviewer, note",
        ),
        ("a.csv", "pair_id,decision,reviewer,verdict\none,keep,Ada,x\n", ":2: verdict: is none of"),
        ("a.jsonl", '{"pair_id": "one", "decision": "keep", "reviewer": " "}\n', ":1: reviewer: "),
        ("a.jsonl", '\n{"pair_id": "one", \n', ":2: is not an object such as"),
        ("a.jsonl", '["one", "keep"]\n', ":1: is not an object such as"),
        (
            "a.jsonl",
            '{"pair_id": 7, "decision": "keep", "reviewer": "Ada"}\n',
            ":1: pair_id: input should be a valid string, not 7",
        ),
        ("a.csv", ",pair_id,decision,reviewer\n0,one,keep,Ada\n", ":2: column 1: is none of pair_id, decision"),
        (
            "a.jsonl",
            '{"pair_id": "\\ud800", "decision": "keep", "reviewer": "Ada"}\n',
            ":1: pair_id: value error, must be text without halves of characters",
        ),
        ("a.txt", "one keep\n", "decisions are read from .csv and .jsonl files"),
    ],
)
def test_a_mistake_names_file_and_line(tmp_path: Path, name: str, text: str, told: str) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(ReviewError) as refused:
        read_reviews([path])
    assert str(refused.value).startswith(f"{path}:")
    assert told in str(refused.value)


def test_every_mistake_is_listed_and_a_long_list_is_cut(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", "no\n" * 30)
    with pytest.raises(ReviewError) as refused:
        read_reviews([path])
    lines = str(refused.value).splitlines()
    assert lines[0].startswith(f"{path}:1: ")
    assert lines[-1] == "and 10 more"


def test_a_missing_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match=r"nowhere\.csv: cannot be read .*; filters\.reviews of the profile names it"):
        read_reviews([tmp_path / "nowhere.csv"])


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"pair_id,decision\n\xff\xfe\n")
    with pytest.raises(ReviewError, match="is not UTF-8"):
        read_reviews([tmp_path / "a.csv"])
