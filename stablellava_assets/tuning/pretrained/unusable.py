"""The error for a row that cannot be trained on."""

from __future__ import annotations


class UnusableRowError(ValueError):
    """Why a row cannot be trained on: rows are counted by ``kind``; ``detail`` describes this one."""

    def __init__(self, kind: str, detail: str | None = None) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    def __str__(self) -> str:
        return self.kind if self.detail is None else f"{self.kind}: {self.detail}"
