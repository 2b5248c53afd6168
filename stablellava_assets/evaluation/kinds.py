"""Question kinds of benchmarks, and what beside models is scored."""

from __future__ import annotations

from typing import Literal

from stablellava_assets.abilities.ability import QUESTION_KINDS

AskedKind = Literal["what", "yes_no", "either_or", "choice", "open"]
"""choice: several options, asked once per rotation of them; open: answered in free text."""

BLIND, SWAPPED, BLANKED, EXCHANGED = "blind", "swapped", "blanked", "exchanged"
CONTROLS = (BLIND, SWAPPED, BLANKED, EXCHANGED)
"""What stands for the model in rows of controls: the tuned model, asked about blank images, about another item's image,
about several images of which one is blank, or which come in reverse order."""
CONTROLS_OF_SEVERAL = (BLANKED, EXCHANGED)
"""Those that only some abilities have. They are in no total."""

TUNED = "tuned"
COMPARED = ("base", TUNED)
"""What stands for the model in rows of the two checkpoints."""


def is_reference(model: str) -> bool:
    """Whether rows with this ``model`` are of a reference model, which the tuned one is compared with."""
    return model not in (*COMPARED, *CONTROLS)


ASKED_KINDS: tuple[AskedKind, ...] = (*QUESTION_KINDS, "choice", "open")

KIND, EXPECTED, SUBJECT, WORDING, CONFUSION = "question_kind", "expected", "subject", "wording", "confusion"
COMPARED_BY = "compared"
FACETS = (KIND, EXPECTED, SUBJECT, "scene", "style", "content", "position", "distance", COMPARED_BY, WORDING, CONFUSION)
"""What a diagnosis counts mistakes by, in the order of its rows. ``expected``: the answer that is due to a yes-no
question; ``compared``: the aspect by which a group of images is compared; ``confusion``: what was taken for what."""
