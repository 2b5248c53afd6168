"""Text files as other programs save them, and the files that other programs leave beside them."""

from __future__ import annotations

import codecs
import errno
import gzip
from pathlib import Path

import pytest

from stablellava_assets.abilities.catalog import BUILT_IN_ABILITIES, load_catalog
from stablellava_assets.authors.released.rows import ReleasedDataError, read_released, released_files
from stablellava_assets.evaluation.photographs.records import list_file
from stablellava_assets.filters.review.reviews import ReviewError, read_reviews
from stablellava_assets.inputs.folders import entries, files_below, files_of, is_left_by_others
from stablellava_assets.inputs.text_files import TextFileError, csv_rows, json_values, read_text
from stablellava_assets.inputs.yaml_documents import Document as Anything
from stablellava_assets.inputs.yaml_documents import DocumentError, load_document

TEXT = "größe: 猫\r\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"),
    ],
)
def test_a_byte_order_mark_says_the_encoding(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    assert read_text(tmp_path / "a.txt") == TEXT


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            "ok\nna\u00efve\n".encode("cp1252"),
            r"a\.txt:2: is not UTF-8 \(byte 0xEF at byte 5 .*Windows-1252.*save it as UTF-8",
        ),
        ("狗".encode("gb18030") * 9, r"a\.txt:1: is not UTF-8"),
        (b"a\0b\0c\0d\0" * 40, r"a\.txt:1: is not text: .*as UTF-16 without a byte order mark; save it as UTF-8"),
        (b"\x89PNG\r\n\0\0\0\rIHDR" + bytes(range(256)), r"a\.txt:1: is not text: it holds bytes of zero"),
        (codecs.BOM_UTF16_LE + b"a\0\0\xd8", r"a\.txt:1: is not UTF-16"),
    ],
)
def test_what_is_in_no_known_encoding_is_refused_by_line(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(TextFileError, match=told):
        read_text(tmp_path / "a.txt")


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(TextFileError, match=r"nowhere: cannot be read \(No such file"):
        read_text(tmp_path / "nowhere")
    with pytest.raises(TextFileError, match=r"cannot be read \(Is a directory\)"):
        read_text(tmp_path)


def test_profiles_and_released_files_take_every_mark(tmp_path: Path) -> None:
    (tmp_path / "animal.json").write_bytes(codecs.BOM_UTF16_LE + '[{"id": "0"}]'.encode("utf-16-le"))
    assert read_released(tmp_path / "animal.json") == [{"id": "0"}]
    (tmp_path / "p.yaml").write_bytes("note: caf\u00e9".encode("latin-1"))
    with pytest.raises(DocumentError, match=r"p\.yaml:1: is not UTF-8"):
        load_document(tmp_path / "p.yaml", Anything)
    (tmp_path / "empty.json").write_text("[]")
    with pytest.raises(ReleasedDataError, match="lists no rows"):
        read_released(tmp_path / "empty.json")


def test_rows_are_an_array_or_a_line_each(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_text('{"a": "one\u2028line"}\r\n\r\nbroken {\r\n{"a": 2}\r\n')
    found = json_values(path)
    assert [(entry.line, entry.value) for entry in found if entry.mistake is None] == [
        (1, {"a": "one\u2028line"}),
        (4, {"a": 2}),
    ]
    assert [(entry.line, entry.mistake) for entry in found if entry.mistake] == [(3, "Expecting value at column 1")]
    path.write_text("  \n")
    assert json_values(path) == []
    path.write_text("[" * 100_000)
    with pytest.raises(TextFileError, match="nested too deeply"):
        json_values(path)


def test_an_open_quote_is_named_by_its_line() -> None:
    with pytest.raises(TextFileError, match=r"a\.csv:3: a quote is opened here and never closed"):
        list(csv_rows('x,y\n1,"fine, \n2",\n', "a.csv")) and list(csv_rows('x,y\n1,"a"\n2,"open\n3,c\n', "a.csv"))
    with pytest.raises(TextFileError, match=r"a\.csv:2: not CSV"):
        list(csv_rows('x,y\n1,"a" b\n', "a.csv"))
    (row,) = csv_rows("x" * 200_000, "a.csv")
    assert len(row.cells[0]) == 200_000


def decisions(folder: Path, text: str) -> Path:
    path = folder / "a.csv"
    path.write_text(text)
    return path


def test_decisions_behind_an_open_quote_are_not_lost(tmp_path: Path) -> None:
    long = "".join(f"b{number},keep,Ada,fine\n" for number in range(20_000))
    for more in ("", long):
        path = decisions(tmp_path, f'pair_id,decision,reviewer,note\na,keep,Ada,"oops\nb,reject,Ada,\n{more}')
        with pytest.raises(ReviewError, match=r"a\.csv:2: a quote is opened here and never closed"):
            read_reviews([path])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "a1,reject,Ada,wrong animal\n",
            r":1: the first line names the columns, and lacks pair_id, decision, reviewer",
        ),
        ("pair_id,note\n", ":1: .*lacks decision, reviewer"),
        ("pair_id,decision,decision,reviewer\n", ":1: the column decision stands twice"),
    ],
)
def test_a_header_that_is_none_is_refused(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match=told):
        read_reviews([decisions(tmp_path, text)])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_decisions_of_every_spreadsheet(separator: str, tmp_path: Path) -> None:
    lines = ["", "Pair_ID,Decision,reviewer,note,,", "a,keep,Ada,fine,,"]
    found = read_reviews([decisions(tmp_path, "\n".join(lines).replace(",", separator))])
    assert (found["a"].decision, found["a"].note) == ("keep", "fine")


LEFT = [
    "._animal.yaml",
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "~$animal.yaml",
    "animal.yaml~",
    "lost+found",
    "@eaDir",
]


@pytest.mark.parametrize("name", LEFT)
def test_what_other_programs_leave_is_no_entry(name: str, tmp_path: Path) -> None:
    assert is_left_by_others(name)
    (tmp_path / name).write_text("")
    (tmp_path / "animal.yaml").write_text("")
    assert [path.name for path in entries(tmp_path)] == ["animal.yaml"]
    assert [path.name for path in files_of(tmp_path, ".yaml")] == ["animal.yaml"]
    assert [path.name for path in files_below(tmp_path)] == ["animal.yaml"]


def test_abilities_and_released_files_lie_among_them(tmp_path: Path) -> None:
    for path in BUILT_IN_ABILITIES.glob("*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for name in LEFT:
        (tmp_path / name).write_bytes(b"\0\x05\x16\x07")
    assert list(load_catalog(tmp_path)) == list(load_catalog())
    (tmp_path / "animal.json").write_text("[]")
    (tmp_path / "._animal.json").write_text("")
    assert [path.name for path in released_files(tmp_path)] == ["animal.json"]


@pytest.mark.parametrize("name", ["animal.yaml", "photo.jpg", "notes", "Icon.png", ".hidden"])
def test_what_people_put_there_counts(name: str) -> None:
    assert not is_left_by_others(name)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (gzip.compress(b"[]", mtime=0), "is not text but a file packed by gzip; unpack it"),
        (b"PK\x03\x04rest", "is not text but a ZIP archive"),
        (b"PAR1rest", "is not text but a Parquet table"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is what Git LFS keeps in a file's place"),
    ],
)
def test_what_a_file_is_that_holds_no_text(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(TextFileError, match=f"a.json:1: {told}"):
        json_values(tmp_path / "a.json")


def test_files_in_folders_that_may_not_be_looked_into_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: bool) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(ReleasedDataError, match="Permission denied"):
        released_files(tmp_path / "x")
    with pytest.raises(ReleasedDataError, match="Permission denied"):
        read_released(tmp_path / "x.json")
    with pytest.raises(DocumentError, match=r"Permission denied.*benchmark\.photographs"):
        list_file(tmp_path / "x.jsonl")


def test_numbers_too_long_and_objects_over_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}\n{"a": ' + "9" * 5000 + "}\n")
    assert [entry.mistake for entry in json_values(path)] == [None, "a number has more than 4300 digits"]
    path.write_text("[" + "9" * 5000 + "]")
    with pytest.raises(TextFileError, match="not JSON: a number has more than 4300 digits"):
        json_values(path)
    path.write_text('{\n "data": []\n}\n')
    with pytest.raises(TextFileError, match=r"is one JSON object over several lines, .* its keys are 'data'"):
        json_values(path)
