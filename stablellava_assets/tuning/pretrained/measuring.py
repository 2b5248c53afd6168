"""Finds out before the first step which rows can be trained on and how long they are, so
that none aborts the training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from stablellava_assets.tables.pace import Pace
from stablellava_assets.tuning.pretrained.encoding import Encoder
from stablellava_assets.tuning.pretrained.pictures import broken_pictures
from stablellava_assets.tuning.pretrained.rows import MIX, PAIRS, Rejection, TuningRow, drawn_rows, take, wanted_rows
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings
from stablellava_assets.tuning.pretrained.unusable import UnusableRowError


@dataclass
class MeasuredRows:
    """Rows, the indices and lengths of those that can be trained on, and why the others cannot."""

    rows: list[TuningRow] = field(default_factory=list)
    usable: list[tuple[int, int]] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)

    @property
    def mixed(self) -> int:
        """Number of the user's own rows that can be trained on."""
        return sum(self.rows[place].source == MIX for place, _ in self.usable)


def measure(
    rows: Sequence[TuningRow],
    refused: Sequence[Rejection],
    encoder: Encoder,
    settings: PretrainedTuningSettings,
    report: Callable[[str], None],
) -> tuple[MeasuredRows, list[Rejection]]:
    """Measure every row, and draw replacements for unusable rows of the user while ``mix.ratio`` requires them.

    Args:
        rows: kept pairs and the rows drawn from the user's data.
        refused: rows that were rejected while drawing.
        encoder: measures rows.
        settings: the job's.
        report: receives progress lines.

    Returns:
        The measured rows, and ``refused`` with those rejected since.

    Raises:
        PretrainedTuningError: no row with an image can be trained on.
    """
    found, refused = MeasuredRows(), list(refused)
    _add(found, rows, encoder, settings, report)
    wanted = None if settings.mix is None else wanted_rows(settings.mix, sum(row.source == PAIRS for row in rows))
    if settings.mix is None or wanted is None:
        return found, refused
    known = {row.row_id for row in rows} | {each.row_id for each in refused}
    supply = drawn_rows(settings.mix, settings.seed, known)
    while (missing := wanted - found.mixed) > 0:
        others, unusable = take(supply, missing)
        refused += unusable
        if not others:
            report(
                f"tuning.mix.ratio asks for {wanted} rows; {found.mixed} can be trained on, and the file holds no more"
            )
            break
        _add(found, others, encoder, settings, report)
    return found, refused


def _add(
    found: MeasuredRows,
    rows: Sequence[TuningRow],
    encoder: Encoder,
    settings: PretrainedTuningSettings,
    report: Callable[[str], None],
) -> None:
    # The images of kept pairs were synthesized and checked by the pipeline.
    pictures = list(dict.fromkeys(path for row in rows if row.source == MIX for path in row.images))
    broken = broken_pictures(pictures, settings.machine.workers, report)
    pace = Pace()
    for number, row in enumerate(rows):
        try:
            found.usable.append((len(found.rows), _length(row, broken, encoder, settings.model.max_length)))
        except ValueError as error:
            found.rejected.append(Rejection.of(row.row_id, row.source, error))
        found.rows.append(row)
        if pace.is_due():
            report(f"{number + 1} of {len(rows)} rows measured")


def _length(row: TuningRow, broken: Mapping[str, UnusableRowError], encoder: Encoder, most: int) -> int:
    for path in row.images:
        if path in broken:
            raise broken[path]
    length = encoder.length(row)
    if length > most:
        raise UnusableRowError("longer than tuning.model.max_length", f"{length} tokens for {most}")
    return length
