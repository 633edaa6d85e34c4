"""Lets a transformers model compute its norms, gates and rotations by the compiled code of `rowwise`.

What is replaced is found by trying: a module or function gives way only where the compiled one gives the same on
random numbers, up to the rounding of bf16. So no list of architectures is kept, and one that does it another way
keeps its own.
"""

import sys
from types import MethodType
from typing import Any

import torch
from transformers import PreTrainedModel

from tunery.engine import rowwise

_CLOSE = 0.01
"""Relative distance: bf16 rounds at 0.004, and some models do so at each of several operations."""


def fuse(model: PreTrainedModel) -> int:
    """Replace what can be in a model whose weights are bf16; says how many parts were."""
    if rowwise.LIBRARY is None:
        return 0
    modes = [(part, part.training) for part in model.modules()]
    model.eval()  # dropout would make a module differ from itself
    with torch.no_grad(), torch.random.fork_rng():
        found = sum(_fuse_norm(part) or _fuse_gate(part) for part, _ in modes) + _fuse_rotation(model)
    for part, mode in modes:
        part.training = mode
    return found


def _fuse_norm(module: Any) -> bool:
    weight = getattr(module, "weight", None)
    eps = float(getattr(module, "variance_epsilon", None) or getattr(module, "eps", None) or 0)
    if not type(module).__name__.endswith("RMSNorm") or weight is None or not rowwise.takes(weight):
        return False
    # A module's weights may be all ones before training, where the two kinds would look alike.
    kept = weight.data.clone()
    weight.data.copy_(torch.randn(weight.shape))
    probe = torch.randn(8, len(weight)).to(weight.dtype)
    own = module(probe)
    more = next((m for m in (0.0, 1.0) if _same(own, rowwise.norm(probe, weight, eps, m))), None)
    weight.data.copy_(kept)
    if more is None:
        return False

    def forward(self: Any, hidden_states: torch.Tensor) -> torch.Tensor:
        return rowwise.norm(hidden_states, self.weight, eps, more)

    module.forward = MethodType(forward, module)
    return True


def _fuse_gate(module: Any) -> bool:
    parts = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
    act = getattr(module, "act_fn", None)
    if not all(isinstance(part, torch.nn.Module) for part in parts) or act is None:
        return False
    probe = torch.randn(8, 64, dtype=torch.bfloat16)
    if not _same(act(probe) * probe, rowwise.gate(probe, probe)):
        return False
    width = getattr(parts[0], "in_features", 0)
    weight = getattr(parts[0], "weight", None)
    if not width or weight is None or not rowwise.takes(weight):
        return False

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        gate, up, down = self.gate_proj(x), self.up_proj(x), self.down_proj
        if type(down) is torch.nn.Linear and down.bias is None:
            return rowwise.gated_product(gate, up, down.weight)
        return down(rowwise.gate(gate, up))

    given = torch.randn(1, 4, width).to(weight.dtype)
    if not _same(module(given), forward(module, given)):
        return False
    module.forward = MethodType(forward, module)
    return True


def _fuse_rotation(model: PreTrainedModel) -> int:
    """Put a function in the place of the one that the model's own source calls by its name, for all its layers."""
    source = sys.modules[type(model).__module__]
    own = getattr(source, "apply_rotary_pos_emb", None)
    if own is None or hasattr(own, "replaces"):
        return 0

    def apply_rotary_pos_emb(
        q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, *more: Any, **named: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        plain = not more and not named and q.ndim == 4 and len(q) == 1 and cos.shape == (1, *q.shape[2:])
        if not plain or not rowwise.takes(q, k, cos, sin):
            return own(q, k, cos, sin, *more, **named)
        return rowwise.rotate(q, cos[0], sin[0]), rowwise.rotate(k, cos[0], sin[0])

    q, k = torch.randn(1, 4, 8, 16).bfloat16(), torch.randn(1, 2, 8, 16).bfloat16()
    cos, sin = torch.randn(2, 1, 8, 16).bfloat16()
    try:
        theirs = own(q, k, cos, sin)
    except (TypeError, RuntimeError, ValueError):
        return 0  # it is told of positions in another way
    if not all(_same(a, b) for a, b in zip(theirs, apply_rotary_pos_emb(q, k, cos, sin), strict=True)):
        return 0
    apply_rotary_pos_emb.replaces = own  # pyright: ignore[reportFunctionMemberAccess]
    vars(source)["apply_rotary_pos_emb"] = apply_rotary_pos_emb
    return 1


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.shape == b.shape and bool((a.float() - b.float()).norm() <= _CLOSE * b.float().norm())
