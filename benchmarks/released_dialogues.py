"""StableLLaVA's published dialogues as the ablations use them: painted as far as sprites allow,
filtered, part of them held out."""

from __future__ import annotations

from typing import Any, NamedTuple

from embedded_experiment import Experiment, examples_of

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.abilities.questions import keywords
from stablellava_assets.authors.released.author import ReleasedAuthor
from stablellava_assets.evaluation.scores.scoring import is_correct
from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.profiles.profile import PROFILE_VARIABLE, load_profile
from stablellava_assets.tables.findings import is_rejected
from stablellava_assets.tables.identity import ranked
from stablellava_assets.tables.schemas import FILTERED_PAIRS
from stablellava_assets.tuning.embedded.training import TrainingExample

_FIRST_BATCH = "0001"
_HELD_OUT = 0.2
_LONGEST_ANSWER = 192
"""Tokens; words that the catalog does not have take one a letter, and the longest published
answer about these subjects 175."""


class ReleasedDialogues(NamedTuple):
    """Dialogues to train on, and questions about other pictures as benchmark items."""

    examples: list[TrainingExample]
    items: list[dict[str, Any]]


def released_dialogues(experiment: Experiment, author: ReleasedAuthor, read: int) -> ReleasedDialogues:
    """The first ``read`` rows of each of the author's files that can be painted and that the
    filters keep; a fifth is held out.

    They are held against the benchmark and against all that the demo kept, so that a held-out picture is not one that a
    synthesized pair is about.
    """
    written = experiment.write(
        _FIRST_BATCH, dict.fromkeys(author.abilities(experiment.workspace.catalog), read), author
    )
    settings = load_profile({PROFILE_VARIABLE: "released"}).filters
    earlier = experiment.workspace.store.read_all(FILTERED_PAIRS).to_pylist()
    verdicts = experiment.filtered(written, settings, earlier)
    kept = [row["pair_id"] for row in verdicts if not is_rejected(row["findings"])]
    held_out = set(ranked(kept, "held out")[: round(_HELD_OUT * len(kept))]) if kept else set()
    asked = [each for each in written if each.dialogue["pair_id"] in held_out]
    items = [item for item in (_item(each, experiment.workspace.catalog) for each in asked) if item is not None]
    experiment.say(
        f"released: {len(written)} dialogues painted, {len(kept)} kept, {len(asked)} held out; "
        f"{len(asked) - len(items)} of these are not asked, since their own answers do not name their subjects"
    )
    return ReleasedDialogues(examples_of(written, set(kept) - held_out), items)


def _item(candidate: Candidate, catalog: Catalog) -> dict[str, Any] | None:
    """The dialogue's question; right is what names the subject. None where the published answer would be wrong."""
    dialogue, subject = candidate.dialogue, candidate.spec["subject"]
    try:
        accepted = [subject, *keywords(catalog.single[dialogue["ability"]].subject_named(subject))]
    except KeyError:  # Drawn under another name, or as another ability's subject.
        accepted = [subject]
    if not is_correct(candidate.answers[0], accepted, (), "what"):
        return None
    return {
        "item_id": dialogue["pair_id"],
        "ability": dialogue["ability"],
        "question_kind": "what",
        "question": candidate.questions[0].replace("<image>", "").strip(),
        "image": candidate.image["image"],
        "accepted": accepted,
        "refused": [],
        "max_new_tokens": _LONGEST_ANSWER,
    }
