"""What counts as memory that ran out."""

from __future__ import annotations

import pytest
import torch

from stablellava_assets.models.memory import is_out_of_memory


@pytest.mark.parametrize(
    ("error", "is_so"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
            True,
        ),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("row 3 is longer than it was found to be"), False),
    ],
)
def test_memory_that_ran_out_is_told_from_other_errors(error: Exception, is_so: bool) -> None:
    assert is_out_of_memory(error) is is_so
