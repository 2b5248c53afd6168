import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import exiv2
from PIL import Image

from stablellava_assets.painters.provenance import Provenance, software, xmp_packet
from stablellava_assets.pictures.encoding import encode_png
from stablellava_assets_tests.fakes.tiny_sdxl import SIZE, save_sdxl
from stablellava_assets_tests.painters.checkpoints import Watched, painted_by, painter_of
from stablellava_assets_tests.painters.specs import painted, spec
from stablellava_assets_tests.tables.made_up import but

IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"


def properties(png: bytes) -> dict[str, str]:
    """The XMP properties of a picture by their name without the namespace, as a reader of the file finds them."""
    with Image.open(io.BytesIO(png)) as picture:
        packet = picture.info["xmp"]
    assert packet.startswith('<?xpacket begin="\ufeff"'.encode())
    (description,) = ElementTree.fromstring(packet).iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    return {element.tag: element.text or "" for element in description}


def test_a_picture_says_what_made_it() -> None:
    prompt = "((koala)) & <tree>, “8k”\x00"
    png = encode_png(Image.new("RGB", (8, 8)), xmp_packet(Provenance("sdxl@1", prompt, "an id")))
    said = properties(png)
    assert said[f"{IPTC}DigitalSourceType"] == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    assert said[f"{IPTC}AISystemUsed"] == "sdxl@1"
    assert said[f"{IPTC}AIPromptInformation"] == "((koala)) & <tree>, “8k” "
    assert said["{http://purl.org/dc/elements/1.1/}identifier"] == "an id"
    assert said["{http://ns.adobe.com/xap/1.0/}CreatorTool"].startswith("stablellava-assets ")


def test_exiv2_which_photo_programs_read_with_understands_every_property() -> None:
    prompt = "((koala)) & <tree>, “8k”"
    png = encode_png(Image.new("RGB", (8, 8)), xmp_packet(Provenance("sdxl@1", prompt, "an id")))
    opened = exiv2.ImageFactory.open(png)
    opened.readMetadata()
    assert {datum.key(): str(datum.value()) for datum in opened.xmpData()} == {
        "Xmp.iptcExt.DigitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "Xmp.iptcExt.AISystemUsed": "sdxl@1",
        "Xmp.iptcExt.AIPromptInformation": prompt,
        "Xmp.dc.identifier": "an id",
        "Xmp.xmp.CreatorTool": software(),
    }


def test_pillow_reads_the_packet_by_itself() -> None:
    png = encode_png(Image.new("RGB", (8, 8)), xmp_packet(Provenance("sdxl@1", "a koala", "an id")))
    with Image.open(io.BytesIO(png)) as picture:
        assert "xmp" in picture.info


def test_the_row_of_a_sprite_scene_says_what_it_is_and_its_file_stays_as_it_was() -> None:
    made, failed = painted(spec("((elephant)), beach"), spec("((Roujiamo))"))
    assert made["software"] == software()
    assert (made["digital_source_type"], failed["digital_source_type"]) == ("compositeSynthetic", None)
    with Image.open(io.BytesIO(made["image"]["bytes"])) as picture:
        assert "xmp" not in picture.info


def test_a_painted_file_holds_what_it_takes_to_paint_it_again_elsewhere(tmp_path: Path) -> None:
    def spoil(seeds: list[int], images: Any) -> None:
        if seeds == [5]:
            images[0] = 0.5  # A uniform picture, which is painted again with the next seed.

    painter = painter_of(
        save_sdxl(tmp_path / "sdxl"),
        Watched(after=spoil),
        scheduler="dpm++_2m_karras",
        negative_prompt="blurry",
        guidance=4.0,
        steps=3,
    )
    (row,) = painted_by(painter, but(spec("((koala)), tree", 5), negative_prompt="dark"))
    opened = exiv2.ImageFactory.open(row["image"]["bytes"])
    opened.readMetadata()
    said = {datum.key(): str(datum.value()) for datum in opened.xmpData()}
    assert {name.rpartition(".")[2]: value for name, value in said.items() if ".painting." in name} == {
        "NegativePrompt": "blurry, dark",
        "Steps": "3",
        "Guidance": "4.0",
        "Scheduler": "DPMSolverMultistepScheduler (dpm++_2m_karras)",
        "Seed": "6",
        "Width": str(SIZE),
        "Height": str(SIZE),
    }
    assert (row["scheduler"], row["negative_prompt"], row["seed"]) == (
        "DPMSolverMultistepScheduler (dpm++_2m_karras)",
        "blurry, dark",
        6,
    )
