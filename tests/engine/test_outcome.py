"""What ends a training is told in words that help."""

from pathlib import Path

import pytest
import torch

from tunery.engine.outcome import as_problem


def test_memory_that_ran_out_is_named_with_advice(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    for error in (caught.value, MemoryError()):
        problem = as_problem(error, 7, tmp_path)
        assert problem.code == "out_of_memory"
        assert "step 7" in problem.message
        assert "batch_size" in problem.cure
