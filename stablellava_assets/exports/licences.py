"""Licence and provenance of an export: terms, models, and how much each of them produced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from stablellava_assets.exports.selection import Pair
from stablellava_assets.tables.pair_rows import Written


class Licence(NamedTuple):
    """A licence by its Hugging Face name, and notes on it."""

    name: str
    text: str


_OWN_TERMS = "other"
_PAINTERS = {
    "embedded": Licence(
        "cc-by-4.0",
        "The images are composed of [Twemoji](https://github.com/jdecked/twemoji) artwork, copyright Twitter, Inc and "
        "other contributors, licensed under [CC-BY 4.0](https://creativecommons.org/licenses/by/4.0/). It was "
        "changed: scaled, turned, tinted, composed and filtered. Anyone who redistributes the images must keep this "
        "credit.",
    )
}
_AUTHORS = {
    "embedded": Licence(
        "apache-2.0", "Texts were drawn from the templates of stablellava-assets, under the Apache License 2.0."
    ),
    "released": Licence(
        "apache-2.0",
        "Texts come from the data published with StableLLaVA (Li et al., 2023, arXiv 2308.10253), under the Apache "
        "License 2.0.",
    ),
}


@dataclass
class Origins:
    """Counts the producers of a set of pairs."""

    painters: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    prompts: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    dialogues: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    _counted: set[str] = field(default_factory=set)

    def add(self, pair: Pair, further: Iterable[Written] = ()) -> None:
        """Count a pair, each of its images and prompts on first occurrence, and the authors of ``further`` texts."""
        for picture in pair.pictures:
            if self._is_new(picture.row["image_id"]):
                self.painters[picture.row["painter"], picture.row["model"]] += 1
        for spec_id, prompt in zip(pair.row["spec_ids"], pair.prompts, strict=True):
            if self._is_new(spec_id):
                self.prompts[prompt["author"], prompt["model"]] += 1
        for written in (pair.dialogue, *further):
            self.dialogues[written["author"], written["model"]] += 1

    def _is_new(self, row_id: str) -> bool:
        known = row_id in self._counted
        self._counted.add(row_id)
        return not known

    @property
    def licence(self) -> str:
        """The Hugging Face name of the overall licence: the images' if known, since it is the most restrictive."""
        names = {
            *(_PAINTERS[painter].name if painter in _PAINTERS else _OWN_TERMS for painter, _ in self.painters),
            *(_OWN_TERMS for author, _ in self.prompts | self.dialogues if author not in _AUTHORS),
        }
        return names.pop() if len(names) == 1 else _OWN_TERMS

    def licence_notes(self) -> list[str]:
        """Notes on the terms of every producer."""
        notes = []
        for painter, model in sorted(self.painters, key=str):
            known = _PAINTERS.get(painter)
            terms = f"Images by the painter {painter!r} were made with {model}; the terms of that model apply to them."
            notes.append(known.text if known else terms)
        for author, model in sorted(self.prompts | self.dialogues, key=str):
            author_known = _AUTHORS.get(author)
            terms = f"Texts by the author {author!r} were written by {model}; the terms of that model apply to them."
            notes.append(author_known.text if author_known else terms)
        return list(dict.fromkeys(notes))

    def table(self) -> str:
        """Markdown table of what each producer made."""
        lines = ["| what | by | model | count |", "|---|---|---|---:|"]
        for what, counts in (("images", self.painters), ("prompts", self.prompts), ("dialogues", self.dialogues)):
            for (name, model), count in counts.most_common():
                by, named = (text.replace("|", r"\|") for text in (name, model or "none"))
                lines.append(f"| {what} | {by} | {named} | {count:,} |")
        return "\n".join(lines)


def origin_sections(origins: Origins, more: Iterable[str] = ()) -> str:
    """The Markdown sections on licence and provenance that every export carries."""
    return "\n\n".join(
        [
            "## Licence",
            *origins.licence_notes(),
            "## Provenance",
            (
                "Everything here is synthetic: the pictures are AI-generated or composed by a program, and so are the "
                "texts. Every row tells its prompt, seed, painter, author and models."
            ),
            origins.table(),
            *more,
        ]
    )
