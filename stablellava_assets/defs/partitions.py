"""The partitions of the generated tables: every ability by every batch, shared by all partitioned assets."""

from __future__ import annotations

import dagster as dg

from stablellava_assets.profiles.profile import Profile


def ability_batches(profile: Profile, abilities: list[str]) -> dg.MultiPartitionsDefinition:
    """One partition per ability and batch, keyed ``ability|batch`` as in ``animal|0001``.

    One definition serves all assets, so that with a single-run backfill policy one run covers the whole graph.
    """
    return dg.MultiPartitionsDefinition(
        {
            "ability": dg.StaticPartitionsDefinition(abilities),
            "batch": dg.StaticPartitionsDefinition(profile.batch_keys),
        }
    )
