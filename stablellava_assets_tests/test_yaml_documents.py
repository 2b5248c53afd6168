"""Every mistake in a YAML file names its file, line, key and reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from stablellava_assets.inputs.yaml_documents import Document, DocumentError, load_document


class Inner(Document):
    size: int = Field(ge=1)


class Outer(Document):
    name: str
    inner: Inner
    items: list[Inner] = Field(default_factory=list)


def load(tmp_path: Path, text: str) -> Outer:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    return load_document(path, Outer)


def test_a_good_document_is_read(tmp_path: Path) -> None:
    assert load(tmp_path, "name: a\ninner: {size: 3}\n").inner.size == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\ninner:\n  size: 3\n  colour: red\n", r"settings.yaml:4: inner.colour: is not a known setting"),
        ("name: a\ninner:\n  size: 0\n", r"settings.yaml:3: inner.size: .*greater than or equal to 1"),
        ("name: a\ninner:\n  size: big\n", r"settings.yaml:3: inner.size: .*valid integer"),
        ("inner:\n  size: 1\n", r"settings.yaml:1: name: Field required"),
        ("name: a\ninner: {size: 1}\nitems:\n  - size: 1\n  - size: 0\n", r"settings.yaml:5: items.1.size: "),
        ("name: a\nname: b\ninner: {size: 1}\n", r"settings.yaml:2: name: given twice"),
        ("name: [a\n", r"settings.yaml: not valid YAML"),
        ("- a\n", r"settings.yaml:1: expected a mapping"),
        ("", r"settings.yaml:1: expected a mapping"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        load(tmp_path, text)


def test_every_mistake_is_listed(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        load(tmp_path, "inner:\n  size: 0\n  extra: 1\n")
    assert len(str(caught.value).splitlines()) == 3


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"nowhere\.yaml: cannot be read"):
        load_document(tmp_path / "nowhere.yaml", Outer)
