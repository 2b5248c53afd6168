"""Signed C2PA manifests (https://spec.c2pa.org) in image files, which record how an image
was made. No network is needed."""

from __future__ import annotations

import io
import json
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stablellava_assets.painters.base import PainterError
from stablellava_assets.painters.provenance import SOURCE_TYPES, Provenance
from stablellava_assets.painters.settings import C2paSettings

if TYPE_CHECKING:
    from types import ModuleType

_PNG = "image/png"
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


class PictureSigner:
    """Signs images with the profile's certificate.

    Signing the same image twice gives different files, because each manifest has its own id and signature.

    Raises:
        PainterError: c2pa-python is not installed, a file cannot be read, or signing fails. A one-pixel image is signed
            and verified to find out.
    """

    def __init__(self, settings: C2paSettings) -> None:
        self._settings = settings
        self._certificate = _read("certificate", settings.certificate)
        self._private_key = _read("private_key", settings.private_key)
        self._c2pa = _installed()
        try:
            signed = self.sign(_one_pixel(), Provenance("none", "", "none"))
            faults = _faults(self._c2pa.Reader(_PNG, io.BytesIO(signed)))
        except self._c2pa.C2paError as error:
            faults = [str(error)]
        if faults:
            raise PainterError(
                f"painter.c2pa: {settings.certificate} and {settings.private_key} cannot sign ({'; '.join(faults)}). "
                "The certificate file holds the signer's certificate, then those of its authorities, in PEM. C2PA "
                "asks for the key usage digitalSignature and an extended key usage such as emailProtection."
            )

    def sign(self, png: bytes, provenance: Provenance) -> bytes:
        """The image with a manifest in it."""
        signed = io.BytesIO()
        builder = self._c2pa.Builder(json.dumps(_manifest(provenance)), self._context)
        builder.sign(self._signer, _PNG, io.BytesIO(png), signed)
        return signed.getvalue()

    @cached_property
    def _signer(self) -> Any:
        # No time stamp authority: it would be the only part of a signature that needs a server.
        info = self._c2pa.C2paSignerInfo(
            _algorithm(self._settings, self._private_key), self._certificate, self._private_key, None
        )
        return self._c2pa.Signer.from_info(info)

    @cached_property
    def _context(self) -> Any:
        # A thumbnail would only duplicate an image that is already small.
        settings = self._c2pa.Settings.from_dict({"builder": {"thumbnail": {"enabled": False}}})
        return self._c2pa.Context(settings=settings)


def signer_of(settings: C2paSettings | None) -> PictureSigner | None:
    """The signer; None if the profile asks for no signatures.

    Raises:
        PainterError: as :class:`PictureSigner`.
    """
    return None if settings is None else PictureSigner(settings)


def _manifest(provenance: Provenance) -> dict[str, Any]:
    """The manifest: the model created the image. The prompt is in the XMP packet, which the signature covers."""
    created = {
        "action": "c2pa.created",
        "digitalSourceType": SOURCE_TYPES + provenance.source_type,
        "softwareAgent": {"name": provenance.model},
    }
    return {
        "claim_generator_info": [{"name": "stablellava-assets", "version": version("stablellava-assets")}],
        "title": f"{provenance.prompt_id}.png",
        "format": _PNG,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
    }


def _faults(reader: Any) -> list[str]:
    """What is wrong with a signed image. Whether its signer is trusted is up to the reader."""
    with reader:
        manifest_report = json.loads(reader.json())
    if manifest_report["validation_state"] in ("Valid", "Trusted"):
        return []
    return [f"{status['code']}: {status['explanation']}" for status in manifest_report["validation_status"]]


def _algorithm(settings: C2paSettings, private_key: bytes) -> str:
    """The C2PA name of the signature algorithm for a key of this type."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(private_key, password=None)
    except (TypeError, ValueError) as error:
        raise PainterError(
            f"painter.c2pa.private_key: {settings.private_key} is no unencrypted private key in PEM ({error})"
        ) from error
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "Ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "PS256"
    raise PainterError(
        f"painter.c2pa.private_key: {settings.private_key} is of a kind with which C2PA does not sign; take one of the "
        "curves P-256, P-384 and P-521, Ed25519 or RSA"
    )


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PainterError(f"painter.c2pa.{name}: {path} cannot be read ({error.strerror})") from error


def _installed() -> ModuleType:
    try:
        import c2pa
    except ImportError as error:
        raise PainterError(
            f"painter.c2pa: c2pa-python cannot be imported ({error}). pip install 'stablellava-assets[c2pa]'"
        ) from error
    module: ModuleType = c2pa
    return module


def _one_pixel() -> bytes:
    from PIL import Image

    from stablellava_assets.pictures.encoding import encode_png

    return encode_png(Image.new("RGB", (1, 1)))
