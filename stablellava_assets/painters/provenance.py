"""Provenance in image files: an XMP packet with IPTC's properties for synthetic media.

All properties are single-valued, so any XML writer suffices. XMP libraries require a C++ or Perl program, and the
maintained ones are under the GPL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from xml.etree import ElementTree

GENERATED = "trainedAlgorithmicMedia"
"""IPTC digital source type of images made by a trained model (https://cv.iptc.org/newscodes/digitalsourcetype/)."""
COMPOSED = "compositeSynthetic"
"""IPTC digital source type of images composed by a program."""

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
"""URL prefix of digital source types."""
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMP = "http://ns.adobe.com/xap/1.0/"
_DC = "http://purl.org/dc/elements/1.1/"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_META = "adobe:ns:meta/"
_PAINTING = "urn:stablellava-assets:painting:1#"
_PREFIXES = {"x": _META, "rdf": _RDF, "xmp": _XMP, "dc": _DC, "Iptc4xmpExt": _IPTC, "painting": _PAINTING}


@dataclass(frozen=True)
class Provenance:
    """How an image was made: by ``model`` from ``prompt``, whose id in this project is ``prompt_id``.

    ``parameters`` are further inputs needed to reproduce it, such as ``Seed``; those without a value are left out.
    """

    model: str
    prompt: str
    prompt_id: str
    source_type: str = GENERATED
    parameters: Mapping[str, str | float | None] = field(default_factory=dict)


def xmp_packet(provenance: Provenance) -> bytes:
    """The XMP packet for the file, in UTF-8.

    Properties: ``Iptc4xmpExt:DigitalSourceType``, ``AISystemUsed`` and ``AIPromptInformation`` (IPTC Photo Metadata
    Standard 2025.1), ``xmp:CreatorTool`` (this software and its version), ``dc:identifier`` (the prompt's id), and one
    ``painting`` property per parameter.
    """
    for prefix, namespace in _PREFIXES.items():
        ElementTree.register_namespace(prefix, namespace)
    meta = ElementTree.Element(f"{{{_META}}}xmpmeta")
    rdf = ElementTree.SubElement(meta, f"{{{_RDF}}}RDF")
    description = ElementTree.SubElement(rdf, f"{{{_RDF}}}Description", {f"{{{_RDF}}}about": ""})
    properties = {
        f"{{{_XMP}}}CreatorTool": software(),
        f"{{{_DC}}}identifier": provenance.prompt_id,
        f"{{{_IPTC}}}DigitalSourceType": SOURCE_TYPES + provenance.source_type,
        f"{{{_IPTC}}}AISystemUsed": provenance.model,
        f"{{{_IPTC}}}AIPromptInformation": provenance.prompt,
        **{f"{{{_PAINTING}}}{name}": f"{value}" for name, value in provenance.parameters.items() if value is not None},
    }
    for name, value in properties.items():
        ElementTree.SubElement(description, name).text = _printable(value)
    packet: str = ElementTree.tostring(meta, encoding="unicode")
    return f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{packet}<?xpacket end="w"?>'.encode()


def is_signed(encoded: bytes) -> bool:
    """Whether an image has a C2PA manifest, which all file formats store in a JUMBF box of that name."""
    return b"jumb" in encoded and b"c2pa" in encoded


@cache
def software() -> str:
    """This software and its version, which is unknown in a checkout that is not installed."""
    try:
        return f"stablellava-assets {version('stablellava-assets')}"
    except PackageNotFoundError:
        return "stablellava-assets"


def _printable(text: str) -> str:
    """XML allows no control characters, not even escaped."""
    return "".join(character if character.isprintable() else " " for character in text)
