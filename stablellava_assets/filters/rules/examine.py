"""The row rules: the part of a verdict that depends on the pair alone and is reused while the pair is unchanged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from stablellava_assets.abilities.prompt_format import keywords_of
from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.findings import ALWAYS_NOTED, ROW_RULES, Finding, of_pair
from stablellava_assets.filters.rules.dialogue_rules import check_dialogue
from stablellava_assets.filters.rules.group_rules import check_differences
from stablellava_assets.filters.rules.image_rules import PictureReading, check_same_image, read_picture
from stablellava_assets.filters.rules.prompt_rules import check_prompt
from stablellava_assets.filters.rules.subject_rules import check_subject, names_to_say
from stablellava_assets.filters.settings import FilterSettings, GroupRuleSettings
from stablellava_assets.pictures.on_threads import on_threads
from stablellava_assets.tables.encoded_images import EncodedImages
from stablellava_assets.tables.findings import NOTES, OVERRULED, REJECTS, StoredFinding
from stablellava_assets.tables.findings import finding as stored
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.pair_rows import Verdict
from stablellava_assets.text.word_forms import named_as_a_person

_VERSION = 2
"""Part of every row key. Increase it when a row rule would judge an unchanged pair differently."""

_COMPARED_WITH = {"across_abilities", "semantic_text", "embedded_images"}

_WORTH_A_THREAD = 65_536
"""Size in bytes from which images are decoded on threads. Smaller ones are decoded faster than a thread starts."""


def settings_key(settings: FilterSettings) -> str:
    """Hash of the settings and of the version of the row rules.

    Settings of comparisons with other pairs are left out because those are repeated on every run. Alignment settings
    are left out because the key of the scores covers them, and those of groups because they concern few pairs
    (:func:`examination_key`).
    """
    others = {"alignment": True, "groups": True, "answerable": True}
    part = settings.model_dump(mode="json", exclude={"duplicates": _COMPARED_WITH, **others})
    return content_key("filters", _VERSION, part)


def examination_key(candidate: Candidate, settings: str, groups: GroupRuleSettings | None = None) -> str:
    """The row key of a verdict; ``settings`` is the :func:`settings_key`, ``groups`` applies to several images."""
    rows = (candidate.dialogue, candidate.image, candidate.spec, *(row for each in candidate.further for row in each))
    scored = [] if candidate.alignment is None else [candidate.alignment.key]
    # These verdicts may have changed when forms of persons were added; all others keep their keys.
    later = any(named_as_a_person(candidate.spec["subject"], answer) for answer in candidate.answers)
    named = ["forms of persons"] if later else []
    several = [groups] if candidate.further else []
    return content_key("verdict", settings, [row["row_key"] for row in rows], *scored, *named, *several)


def examine(
    candidates: Sequence[Candidate],
    images: EncodedImages,
    settings: FilterSettings,
    previous: Iterable[Verdict] = (),
    report: Callable[[str], None] = lambda line: None,
) -> tuple[list[Verdict], int]:
    """Verdict rows with the findings of the row rules, in order, and how many were reused from ``previous``.

    Args:
        candidates: the pairs of a partition.
        images: their images, of which only those of pairs without a reusable verdict are read, each once.
        settings: thresholds.
        previous: earlier verdicts on this partition, kept and rejected. Those with an unchanged key are reused.
        report: receives a progress line.
    """
    known = {(row["pair_id"], row["row_key"]): row for row in previous}
    key = settings_key(settings)
    keys = [examination_key(candidate, key, settings.groups) for candidate in candidates]
    ids = [(candidate.dialogue["pair_id"], row_key) for candidate, row_key in zip(candidates, keys, strict=True)]
    new = [candidate for candidate, row_id in zip(candidates, ids, strict=True) if row_id not in known]
    readings = _read_pictures(new, images, settings, report)
    # Several pairs share a prompt.
    prompts = {each.spec["prompt"] for candidate in new for each in candidate.painted}
    of_prompts = {prompt: list(check_prompt(prompt, settings.prompt)) for prompt in prompts}
    rows = [
        _with_row_rule_findings(known[row_id])
        if row_id in known
        else _verdict(candidate, of_prompts, readings, row_id[1], settings)
        for candidate, row_id in zip(candidates, ids, strict=True)
    ]
    return rows, len(candidates) - len(new)


def add_finding(row: Verdict, finding: Finding, settings: FilterSettings) -> None:
    """Add ``finding`` to a verdict row. The settings decide whether it rejects the pair."""
    noted = finding.rule in settings.noted_only or finding.rule in ALWAYS_NOTED
    row["findings"].append(stored(finding.rule, NOTES if noted else REJECTS, finding.explanation, finding.pair_id))


def _read_pictures(
    candidates: Sequence[Candidate], images: EncodedImages, settings: FilterSettings, report: Callable[[str], None]
) -> dict[str, PictureReading]:
    rows = {each.image["image_id"]: each.image for candidate in candidates for each in candidate.painted}
    beside_others = {
        each.image["image_id"] for candidate in candidates if candidate.further for each in candidate.painted
    }
    if not rows:
        return {}
    report(f"examining {len(rows)} images of {len(candidates)} pairs")

    def read(image_id: str, encoded: bytes) -> PictureReading:
        return read_picture(rows[image_id], encoded, settings.min_image_spread, image_id in beside_others)

    readings = dict(on_threads(images(rows.keys()), read, os.cpu_count() or 1, _WORTH_A_THREAD))
    return {
        image_id: readings.get(image_id) or read_picture(row, None, settings.min_image_spread)
        for image_id, row in rows.items()
    }


def _verdict(
    candidate: Candidate,
    of_prompts: Mapping[str, Sequence[Finding]],
    readings: Mapping[str, PictureReading],
    row_key: str,
    settings: FilterSettings,
) -> Verdict:
    dialogue, compared = candidate.dialogue, candidate.compared
    specs, images = zip(*candidate.painted, strict=True)
    pictures = [readings[image["image_id"]] for image in images]
    prompts = [spec["prompt"] for spec in specs]
    findings = [
        *of_pair([of_prompts[prompt] for prompt in prompts]),
        *check_dialogue(candidate, settings.dialogue),
        *check_subject(candidate, settings.dialogue),
        *of_pair([picture.findings for picture in pictures]),
        *(candidate.alignment.findings if candidate.alignment else ()),
        *check_same_image(images, pictures, settings.groups.min_image_difference),
        *check_differences(specs),
    ]
    named = None
    if names_to_say(candidate):
        named = all(finding.rule != "subject_not_named" for finding in findings)
    spreads = [picture.spread for picture in pictures if picture.spread is not None]
    row: Verdict = {
        "pair_id": dialogue["pair_id"],
        "ability": dialogue["ability"],
        "batch": dialogue["batch"],
        "spec_ids": dialogue["spec_ids"],
        "image_ids": dialogue["image_ids"],
        "prompt": compared["prompt"],
        "subject": compared["subject"],
        "conversations": dialogue["conversations"],
        "question_kind": dialogue["question_kind"],
        "expected": dialogue["expected"],
        "findings": [],
        "keyword_count": max(len(keywords_of(prompt)) for prompt in prompts),
        "answer_words": max((len(answer.split()) for answer in candidate.answers), default=0),
        "subject_named": named,
        "image_spread": min(spreads) if len(spreads) == len(pictures) else None,
        "image_sha256": compared["image_sha256"],
        "perceptual_hash": compared["perceptual_hash"],
        "row_key": row_key,
        "further_prompts": compared["further_prompts"],
        "further_subjects": compared["further_subjects"],
        "further_image_sha256": compared["further_image_sha256"],
        "further_perceptual_hashes": compared["further_perceptual_hashes"],
    }
    for finding in findings:
        add_finding(row, finding, settings)
    return row


def _with_row_rule_findings(verdict: Verdict) -> Verdict:
    """An earlier verdict without the findings of the set rules and of reviews."""
    row_findings = [found for found in verdict["findings"] if found["rule"] in ROW_RULES]
    findings: list[StoredFinding] = [
        {**found, "outcome": REJECTS if found["outcome"] == OVERRULED else found["outcome"]} for found in row_findings
    ]
    row: Verdict = {**verdict, "findings": findings}
    row.pop("run_id", None)
    return row
