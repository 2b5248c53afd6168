"""A row of any table."""

from typing import Any

Row = dict[str, Any]
