"""What one call of ``ask`` works with, live or in batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.prices import Price
from stablellava_assets.endpoint.progress import Progress
from stablellava_assets.endpoint.rate_limits.throttle import Throttle
from stablellava_assets.endpoint.settings import EndpointSettings

if TYPE_CHECKING:
    from stablellava_assets.endpoint.transport import Transport


@dataclass(frozen=True)
class CallContext:
    """An endpoint as a call finds it, and where the call says how it is getting on."""

    settings: EndpointSettings
    ledger: Ledger
    price: Price | None
    transport: Transport
    throttle: Throttle
    progress: Progress
    report: Callable[[str], None]
