"""Processor time of a process and of the workers that it has waited for."""

from __future__ import annotations

import resource


def processor_seconds() -> float:
    """Seconds in user and system mode, so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
