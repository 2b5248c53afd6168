"""Signed pictures, read back by C2PA's own reader."""

from __future__ import annotations

import hashlib
import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from c2pa import Reader
from PIL import Image

from stablellava_assets.painters.base import PainterError
from stablellava_assets.painters.image_rows import finish
from stablellava_assets.painters.provenance import Provenance
from stablellava_assets.painters.settings import C2paSettings
from stablellava_assets.painters.signing import PictureSigner
from stablellava_assets_tests.fakes.image_server import image_server
from stablellava_assets_tests.painters.certificates import Files, signing_files
from stablellava_assets_tests.painters.checkpoints import largest_difference
from stablellava_assets_tests.painters.checkpoints import painted_by as painted_by_checkpoint
from stablellava_assets_tests.painters.checkpoints import painter_of as checkpoint_painter
from stablellava_assets_tests.painters.specs import spec
from stablellava_assets_tests.painters.test_api import painted_by, painter_of
from stablellava_assets_tests.painters.test_provenance import IPTC, properties


def settings(files: Files) -> dict[str, str]:
    return {name: str(path) for name, path in files._asdict().items()}


def signer(files: Files) -> PictureSigner:
    return PictureSigner(C2paSettings.model_validate(settings(files)))


def manifest(png: bytes) -> dict[str, Any]:
    """The active manifest, whose signature and hashes hold."""
    with Reader("image/png", io.BytesIO(png)) as reader:
        said = json.loads(reader.json())
    assert said["validation_state"] == "Valid"
    # The only complaint is that nobody trusts the tests' authority.
    assert [status["code"] for status in said["validation_status"]] == ["signingCredential.untrusted"]
    active: dict[str, Any] = said["manifests"][said["active_manifest"]]
    return active


def test_a_picture_that_its_provider_signed_is_kept_as_it_came(tmp_path: Path) -> None:
    provider = signer(signing_files(tmp_path))
    sent: list[bytes] = []

    def signed(jpeg: bytes) -> bytes:
        png = io.BytesIO()
        Image.open(io.BytesIO(jpeg)).save(png, "PNG")
        sent.append(provider.sign(png.getvalue(), Provenance("a provider's model", "", "of the provider")))
        return sent[-1]

    with image_server(finished=signed) as (url, _):
        (row,) = painted_by(painter_of(tmp_path, url, c2pa=settings(signing_files(tmp_path))), spec("((koala)), tree"))
    assert row["image"] == {"bytes": sent[0], "path": f"{row['image_id']}.png"}
    assert (row["sha256"], row["width"], row["height"]) == (hashlib.sha256(sent[0]).hexdigest(), 48, 32)
    assert manifest(row["image"]["bytes"])["title"] == "of the provider.png"
    assert (row["digital_source_type"], row["model"]) == ("trainedAlgorithmicMedia", "painter-1")


def test_a_picture_of_the_api_painter_is_signed_and_its_key_is_that_of_an_unsigned_one(tmp_path: Path) -> None:
    files = signing_files(tmp_path)
    with image_server() as (url, _):
        signing = painter_of(tmp_path, url, c2pa=settings(files))
        (row,) = painted_by(signing, spec("((koala)), tree", 5, "the id"))
        (plain,) = painter_of(tmp_path, url).plan([spec("((koala)), tree", 5, "the id")])
    assert row["row_key"] == plain.row_key
    said = manifest(row["image"]["bytes"])
    (created,) = said["assertions"][0]["data"]["actions"]
    assert created["action"] == "c2pa.created"
    assert created["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert created["softwareAgent"] == {"name": "painter-1"}
    assert said["title"] == "the id.png"
    assert said["claim_generator_info"][0]["name"] == "stablellava-assets"
    assert said["signature_info"]["common_name"] == "Signer"
    assert properties(row["image"]["bytes"])[f"{IPTC}AISystemUsed"] == "painter-1"


def test_a_picture_of_a_checkpoint_is_signed_and_shows_the_same(tmp_path: Path, sdxl: Path) -> None:
    signing = checkpoint_painter(sdxl, steps=1, c2pa=settings(signing_files(tmp_path)))
    plain = checkpoint_painter(sdxl, steps=1)
    ((signed,), (unsigned,)) = (
        painted_by_checkpoint(painter, spec("((koala)), tree", 5)) for painter in (signing, plain)
    )
    assert manifest(signed["image"]["bytes"])["assertions"][0]["data"]["actions"][0]["softwareAgent"] == {
        "name": signed["model"]
    }
    assert signed["row_key"] == unsigned["row_key"]
    assert largest_difference(signed, unsigned) == 0


def test_pictures_are_signed_by_several_threads_at_once_and_keep_their_pixels(tmp_path: Path) -> None:
    signs = signer(signing_files(tmp_path))
    pictures = [Image.new("RGB", (16, 16), (number, 0, 0)) for number in range(24)]
    with ThreadPoolExecutor(4) as threads:
        signed = list(
            threads.map(lambda at: finish(pictures[at], Provenance("m", "p", str(at)), signs), range(len(pictures)))
        )
    for at, painted in enumerate(signed):
        assert manifest(painted.encoded)["title"] == f"{at}.png"
        with Image.open(io.BytesIO(painted.encoded)) as opened:
            assert opened.tobytes() == pictures[at].tobytes()


def test_a_picture_that_was_changed_is_no_longer_valid(tmp_path: Path) -> None:
    painted = finish(Image.new("RGB", (16, 16)), Provenance("m", "p", "the id"), signer(signing_files(tmp_path)))
    with Reader("image/png", io.BytesIO(painted.encoded.replace(b"the id", b"not id", 1))) as reader:
        assert json.loads(reader.json())["validation_state"] == "Invalid"


def test_files_that_cannot_sign_are_named_before_anything_is_painted(tmp_path: Path) -> None:
    files = signing_files(tmp_path)
    with pytest.raises(PainterError, match=r"painter\.c2pa\.certificate: .*missing\.pem cannot be read"):
        signer(files._replace(certificate=tmp_path / "missing.pem"))
    with pytest.raises(PainterError, match=r"painter\.c2pa\.private_key: .*chain\.pem is no unencrypted private key"):
        signer(files._replace(private_key=files.certificate))
    (tmp_path / "other").mkdir()
    other = signing_files(tmp_path / "other")
    with pytest.raises(PainterError, match=r"painter\.c2pa: .*chain\.pem and .*key\.pem cannot sign \(.*signature"):
        signer(files._replace(private_key=other.private_key))
