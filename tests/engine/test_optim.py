"""AdamW by compiled code: torch's own, up to the last bits, whatever kind the gradients are of."""

import pytest
import torch

from tunery.engine import rowwise
from tunery.engine.optim import Optimizer

from .test_attention import drawn

SHAPES = {"a": (1000, 70), "b": (3, 5), "norm": (33,), "unused": (40, 8)}


class Weights(torch.nn.Module):
    """Some to train."""

    def __init__(self) -> None:
        super().__init__()
        for name, shape in SHAPES.items():
            self.register_parameter(name, torch.nn.Parameter(drawn(*shape).float()))


def trained(kind: torch.dtype, batches: int, *, compiled: bool) -> tuple[list[float], Optimizer, Weights]:
    """Three steps; the norms of the gradients, and all that is left."""
    model = Weights().to(kind)
    optimizer = Optimizer(model, kind, weight_decay=0.1, max_grad_norm=3.0)
    norms: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(rowwise, "LIBRARY", None)
        for step in range(3):
            for batch in range(batches):
                loss = sum(
                    (p * (drawn(*p.shape) + step + batch).to(kind)).sum()
                    for name, p in model.named_parameters()
                    if name != "unused"
                )
                assert isinstance(loss, torch.Tensor)
                loss.backward()
            norms.append(optimizer.gradient_norm(7.0))
            optimizer.step(0.01, 7.0, norms[-1])
    return norms, optimizer, model


@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
def test_a_step_is_torchs(kind: torch.dtype, batches: int) -> None:
    assert rowwise.LIBRARY is not None
    norms, ours, model = trained(kind, batches, compiled=True)
    exact, theirs, _ = trained(kind, batches, compiled=False)
    assert norms == pytest.approx(exact, rel=1e-5)
    for found, wanted in ((ours.masters(), theirs.masters()), (ours.state(), theirs.state())):
        for name, tensor in found.items():
            torch.testing.assert_close(tensor, wanted[name], rtol=1e-5, atol=1e-6)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter.data, ours.masters()[name].to(kind))
    # What no loss depends on only decays.
    decayed = drawn(*SHAPES["unused"]).float() * (1 - 0.01 * 0.1) ** 3
    torch.testing.assert_close(ours.masters()["unused"], decayed, rtol=1e-6, atol=0.0)


def test_what_is_no_number_shows_in_the_norm() -> None:
    model = Weights().to(torch.bfloat16)
    optimizer = Optimizer(model, torch.bfloat16, weight_decay=0.0, max_grad_norm=1.0)
    (model.a * float("nan")).sum().backward()
    assert optimizer.gradient_norm(1.0) != optimizer.gradient_norm(1.0)


def test_any_number_of_threads_gives_the_same_step() -> None:
    usual = torch.get_num_threads()
    made: list[dict[str, torch.Tensor]] = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            made.append(trained(torch.bfloat16, 1, compiled=True)[1].masters())
    finally:
        torch.set_num_threads(usual)
    assert all(torch.equal(one[name], tensor) for one in made[1:] for name, tensor in made[0].items())
