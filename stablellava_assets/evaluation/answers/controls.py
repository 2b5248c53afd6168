"""Controls: the tuned model is asked without the images, with another item's, without one of several, and with their
order reversed. A model that needs its images then does no better than chance."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from stablellava_assets.evaluation.answers.pictures import ItemPicture
from stablellava_assets.evaluation.kinds import BLANKED, BLIND, EXCHANGED, SWAPPED
from stablellava_assets.pictures.decoding import upright
from stablellava_assets.tables.identity import content_key, derive_seed
from stablellava_assets.tables.score_rows import ItemToAsk

_GREY = (128, 128, 128)
Pictures = Mapping[str, Sequence[ItemPicture]]
"""Images by item id."""


def controls_of(item_id: str, pictures: Sequence[ItemPicture], swapped: Pictures) -> list[str]:
    """The controls of an item; one image can be swapped, several can be blanked in part and exchanged."""
    if len(pictures) > 1:
        return [BLIND, BLANKED, EXCHANGED]
    return [BLIND, SWAPPED] if item_id in swapped else [BLIND]


def swapped_pictures(items: Sequence[ItemToAsk], pictures: Pictures) -> dict[str, list[ItemPicture]]:
    """Another item's image for each item about one image: of the same benchmark and ability, by a hash of its id.

    Items of an ability with a single image are left out.
    """
    by_ability: dict[tuple[str, str], dict[str, ItemPicture]] = {}
    single = [item for item in items if len(pictures[item["item_id"]]) == 1]
    for item in single:
        (picture,) = pictures[item["item_id"]]
        by_ability.setdefault((item["benchmark"], item["ability"]), {})[picture.key] = picture
    swapped = {}
    for item in single:
        (own,) = pictures[item["item_id"]]
        of_ability = by_ability[item["benchmark"], item["ability"]]
        others = sorted(of_ability.keys() - {own.key})
        if others:
            swapped[item["item_id"]] = [of_ability[others[derive_seed("swapped", item["item_id"]) % len(others)]]]
    return swapped


def shown_to(model: str, item_id: str, pictures: Sequence[ItemPicture], swapped: Pictures) -> list[ItemPicture]:
    """The images of an item as ``model`` gets them: its own, unless it is a control.

    Of several, one is blanked, by a hash of the item's id, so that each place is blanked equally often.
    """
    if model == BLIND:
        return [_blank(picture) for picture in pictures]
    if model == SWAPPED:
        return list(swapped[item_id])
    if model == EXCHANGED:
        return [*reversed(pictures)]
    if model == BLANKED:
        place = derive_seed("blanked", item_id) % len(pictures)
        return [_blank(picture) if number == place else picture for number, picture in enumerate(pictures)]
    return list(pictures)


def _blank(picture: ItemPicture) -> ItemPicture:
    def grey() -> bytes:
        from PIL import Image

        read = picture.encoded
        buffer = io.BytesIO()
        Image.new("RGB", upright(read() if callable(read) else read).size, _GREY).save(buffer, "PNG")
        return buffer.getvalue()

    return ItemPicture(content_key("blank", picture.key, _GREY), (), grey)
