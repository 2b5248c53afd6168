"""Controls of questions about several images: the tuned model is asked without one of them, and with their order
reversed. A model that needs all of them then does no better than chance."""

from __future__ import annotations

import io
from collections.abc import Sequence

from stablellava_assets.evaluation.answers.pictures import ItemPicture
from stablellava_assets.evaluation.kinds import BLANKED, EXCHANGED
from stablellava_assets.pictures.decoding import upright
from stablellava_assets.tables.identity import content_key, derive_seed

_GREY = (128, 128, 128)


def shown_to(model: str, item_id: str, pictures: Sequence[ItemPicture]) -> list[ItemPicture]:
    """The images of an item as ``model`` gets them: all of them, unless it is a control.

    One image of each item is blanked, by a hash of its id, so that each place is blanked equally often.
    """
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
