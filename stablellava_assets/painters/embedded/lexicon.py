"""The phrases that the embedded painter can draw, and what each of them draws."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from stablellava_assets.abilities.ability import Ability, Backdrop, Layer, Subject
from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.painters.embedded.effects import EFFECTS
from stablellava_assets.painters.embedded.scene_plan import BackdropPlan, Color, Drawing, SpriteLayer
from stablellava_assets.painters.embedded.sprites import UnknownSpriteError, sprite_files
from stablellava_assets.tables.identity import content_key

_LEADING_WORDS = re.compile(r"^(?:in|on|at|by|near|inside|under|beside)\s+|^(?:the|a|an|some|one)\s+")


class LexiconError(ExplainedError, ValueError):
    """The catalog asks for something that the embedded painter does not have. The message names ability and subject."""


@dataclass(frozen=True)
class Entry:
    """What a phrase draws: exactly one of drawing, backdrop and effect."""

    phrase: str
    drawing: Drawing = ()
    backdrop: BackdropPlan | None = None
    effect: str | None = None

    @cached_property
    def key(self) -> str:
        """Hash of everything that affects how this phrase is drawn."""
        return content_key(
            [vars(layer) for layer in self.drawing], vars(self.backdrop) if self.backdrop else None, self.effect
        )


class Lexicon:
    """The drawable phrases of all abilities. Case, hyphens and regular plurals are ignored.

    Raises:
        LexiconError: a sprite has no artwork, an effect is not implemented, or two phrases with the same spelling are
            drawn differently.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._entries: dict[str, Entry] = {}
        for ability in catalog.single.values():
            for subject in ability.drawn_subjects:
                self._add(ability, subject)

    def __contains__(self, phrase: str) -> bool:
        return self.find(phrase) is not None

    def find(self, phrase: str) -> Entry | None:
        """The entry of ``phrase``; None if it cannot be drawn."""
        for spelling in _spellings(phrase):
            entry = self._entries.get(spelling)
            if entry is not None:
                return entry
        return None

    def _add(self, ability: Ability, subject: Subject) -> None:
        try:
            entry = _entry(subject)
        except (UnknownSpriteError, LexiconError) as error:
            raise LexiconError(f"ability {ability.ability!r}, subject {subject.name!r}: {error}") from error
        known = self._entries.setdefault(_folded(subject.name), entry)
        if known.key != entry.key:
            raise LexiconError(
                f"ability {ability.ability!r}, subject {subject.name!r}: reads like {known.phrase!r}, "
                "which is drawn differently; rename one"
            )


def _entry(subject: Subject) -> Entry:
    if subject.effect is not None and subject.effect not in EFFECTS:
        raise LexiconError(f"no effect {subject.effect!r}; the embedded painter implements {', '.join(EFFECTS)}")
    return Entry(
        phrase=subject.name,
        drawing=tuple(_layer(layer) for layer in subject.layers),
        backdrop=_backdrop(subject.backdrop) if subject.backdrop else None,
        effect=subject.effect,
    )


def _layer(layer: Layer) -> SpriteLayer:
    files = [file for emoji in layer.sprites for file in sprite_files(emoji, skin_tones=layer.skin_tones)]
    return SpriteLayer(
        files=tuple(files),
        scale=layer.scale,
        dx=layer.dx,
        dy=layer.dy,
        turn=layer.turn,
        tint=_color(layer.tint) if layer.tint else None,
    )


def _backdrop(backdrop: Backdrop) -> BackdropPlan:
    return BackdropPlan(
        sky=_gradient(backdrop.sky),
        ground=_gradient(backdrop.ground),
        horizon=backdrop.horizon,
        props=_files(backdrop.props),
        sky_props=_files(backdrop.sky_props),
    )


def _files(emoji: Sequence[str]) -> tuple[str, ...]:
    return tuple(file for each in emoji for file in sprite_files(each))


def _gradient(ends: tuple[str, str]) -> tuple[Color, Color]:
    return _color(ends[0]), _color(ends[1])


def _color(written: str) -> Color:
    value = int(written[1:], 16)
    return value >> 16, value >> 8 & 255, value & 255


def _spellings(phrase: str) -> Iterator[str]:
    """Normalized spellings of ``phrase``, the most literal first."""
    folded = _folded(phrase)
    yield folded
    bare = folded
    while (shorter := _LEADING_WORDS.sub("", bare)) != bare:
        bare = shorter
    if bare != folded:
        yield bare
    *words, last = bare.split(" ")
    if last:
        yield _folded(" ".join([*words, _lemma(last)]))


@lru_cache(maxsize=65_536)
def _folded(phrase: str) -> str:
    """``phrase`` in lower case, with spaces for hyphens and its last word in the singular (regular plurals)."""
    words = phrase.casefold().replace("-", " ").replace("_", " ").split()
    if words:
        words[-1] = _singular(words[-1])
    return " ".join(words)


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "zes", "oes")):
        return word[:-2]
    return word[:-1]


@lru_cache(maxsize=65_536)
def _lemma(word: str) -> str:
    """The dictionary form, for irregular plurals: cacti, leaves, mice."""
    from simplemma import lemmatize

    return str(lemmatize(word, lang="en")).casefold()
