"""The tables for stages that use kept pairs: with the verdicts of batches that are filtered in order."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg

from stablellava_assets.defs.published import Tables
from stablellava_assets.filters.contamination import contamination_report
from stablellava_assets.filters.settled import Settling
from stablellava_assets.profiles.data_folder import DataFolder
from stablellava_assets.profiles.profile import Profile


def settled_tables(context: dg.AssetExecutionContext, tables: Tables, profile: Profile, folder: DataFolder) -> Tables:
    """The tables, with settled verdicts. If published ones differ, the log and the metadata say so; the log also says
    which benchmarks pairs were never compared with.

    Raises:
        UnsettledError: verdicts on a batch are incomplete.
    """
    settled = Settling(profile.filters, folder.index, context.log.info).settle(tables.store)
    if settled.notice is not None:
        context.log.warning(settled.notice)
        context.add_asset_metadata({"repeats found again": ", ".join(map("|".join, settled.rejudged))})
    if profile.benchmark_files:
        for notice in contamination_report(tables.store, profile.benchmark_files).notices:
            context.log.warning(notice)
    return replace(tables, store=settled.store)
