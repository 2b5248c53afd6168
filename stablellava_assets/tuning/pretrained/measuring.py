"""Which rows can be trained on, and how long they are: settled before the first step, so that none ends the training."""

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
class Measured:
    """Rows, the places and lengths of those that can be trained on, and why the others cannot."""

    rows: list[TuningRow] = field(default_factory=list)
    usable: list[tuple[int, int]] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)

    @property
    def mixed(self) -> int:
        """How many of the user's own rows can be trained on."""
        return sum(self.rows[place].source == MIX for place, _ in self.usable)


def measure(
    rows: Sequence[TuningRow],
    refused: Sequence[Rejection],
    encoder: Encoder,
    settings: PretrainedTuningSettings,
    say: Callable[[str], None],
) -> tuple[Measured, list[Rejection]]:
    """Measure every row, and draw others for those of the user's that cannot be trained on, while ``mix.ratio`` asks for more.

    Args:
        rows: kept pairs and what was drawn of the user's own.
        refused: what was found to be unusable as those were drawn.
        encoder: measures rows.
        settings: the job's.
        say: gets a line now and then.

    Returns:
        What was found out, and ``refused`` with what was drawn and refused since.

    Raises:
        PretrainedTuningError: no row with a picture can be trained on.
    """
    found, refused = Measured(), list(refused)
    _add(found, rows, encoder, settings, say)
    wanted = None if settings.mix is None else wanted_rows(settings.mix, sum(row.source == PAIRS for row in rows))
    if settings.mix is None or wanted is None:
        return found, refused
    known = {row.row_id for row in rows} | {each.row_id for each in refused}
    supply = drawn_rows(settings.mix, settings.seed, known)
    while (missing := wanted - found.mixed) > 0:
        others, unusable = take(supply, missing)
        refused += unusable
        if not others:
            say(f"tuning.mix.ratio asks for {wanted} rows; {found.mixed} can be trained on, and the file holds no more")
            break
        _add(found, others, encoder, settings, say)
    return found, refused


def _add(
    found: Measured,
    rows: Sequence[TuningRow],
    encoder: Encoder,
    settings: PretrainedTuningSettings,
    say: Callable[[str], None],
) -> None:
    # Those of kept pairs were painted, and looked at, here.
    pictures = list(dict.fromkeys(path for row in rows if row.source == MIX for path in row.images))
    broken = broken_pictures(pictures, settings.machine.workers, say)
    pace = Pace()
    for number, row in enumerate(rows):
        try:
            found.usable.append((len(found.rows), _length(row, broken, encoder, settings.model.max_length)))
        except ValueError as error:
            found.rejected.append(Rejection.of(row.row_id, row.source, error))
        found.rows.append(row)
        if pace.is_due():
            say(f"{number + 1} of {len(rows)} rows measured")


def _length(row: TuningRow, broken: Mapping[str, UnusableRowError], encoder: Encoder, most: int) -> int:
    for path in row.images:
        if path in broken:
            raise broken[path]
    length = encoder.length(row)
    if length > most:
        raise UnusableRowError("longer than tuning.model.max_length", f"{length} tokens for {most}")
    return length
