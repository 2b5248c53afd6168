"""The partitions of the generated tables: every ability by every batch, shared by all partitioned assets."""

from __future__ import annotations

import dagster as dg

from stablellava_assets.profiles.profile import Profile


def ability_batches(profile: Profile, abilities: list[str]) -> dg.MultiPartitionsDefinition:
    """One partition an ability and batch, keyed ``ability|batch`` as in ``animal|0001``.

    One definition serves all assets: with a single-run backfill policy, that lets one run cover the whole graph.
    """
    return dg.MultiPartitionsDefinition(
        {
            "ability": dg.StaticPartitionsDefinition(abilities),
            "batch": dg.StaticPartitionsDefinition(profile.batch_keys),
        }
    )
