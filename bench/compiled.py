"""What the compiled work saves, part by part, there and back: `python -m bench.compiled [--rounds 8]`.

torch and the compiled code take turns in one process on one thread; the least processor time of each is printed, and
their ratio. Sizes are those of a step of the Llama of `bench.engine`: 2,752 tokens, 1,856 of them supervised.
"""

import argparse
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from tunery.engine import rowwise, tiles
from tunery.engine.attention import segment_attention
from tunery.engine.loss import to_errors
from tunery.engine.optim import Optimizer

TOKENS, SUPERVISED, WIDTH, INNER, HEADS, VOCABULARY = 2752, 1856, 384, 1024, 6, 32_000


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape).bfloat16()


def both_ways(compute: Callable[..., Tensor], *given: Tensor) -> Callable[[], object]:
    """The value and the gradients of all that was given and is a number to learn."""
    learnt = [x for x in given if x.requires_grad]
    along = torch.ones_like(compute(*given))
    return lambda: torch.autograd.grad(compute(*given), learnt, along)


def torch_norm(x: Tensor, weight: Tensor) -> Tensor:
    wide = x.float()
    return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


def torch_rotation(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


def without(work: Callable[[], object]) -> Callable[[], object]:
    """The same as where the compiled code couldn't be built."""

    def done() -> object:
        kept = rowwise.LIBRARY, tiles.LIBRARY
        rowwise.LIBRARY = tiles.LIBRARY = None
        try:
            return work()
        finally:
            rowwise.LIBRARY, tiles.LIBRARY = kept

    return done


def attention() -> Callable[[], object]:
    """Of a layer, over four rows that fill the batch."""
    shapes = ((0, 1024), (0, 650), (0, 700), (0, 378))
    q, k = drawn(1, HEADS, TOKENS, 64).requires_grad_(), drawn(1, 2, TOKENS, 64).requires_grad_()
    v, module = drawn(1, TOKENS, 2, 64).transpose(1, 2).requires_grad_(), torch.nn.Module()
    return both_ways(lambda q, k, v: segment_attention(module, q, k, v, None, shapes=shapes)[0], q, k, v)


def optimizer() -> Callable[[], object]:
    """The norm of all gradients and a step, for the whole model's weights."""
    layers = [torch.nn.Linear(WIDTH, size, bias=False) for size in (VOCABULARY, VOCABULARY, *[INNER] * 32)]
    model = torch.nn.Sequential(*layers).bfloat16()
    made = Optimizer(model, torch.bfloat16, weight_decay=0.1, max_grad_norm=1.0)
    weights = list(model.parameters())
    gradients = [torch.randn_like(one) for one in weights]

    def step() -> None:
        torch.autograd.backward(weights, gradients)
        made.step(1e-3, 1.0, made.gradient_norm(1.0))

    return step


def parts() -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """By name, torch's way and the compiled one."""
    x, weight = drawn(1, TOKENS, WIDTH).requires_grad_(), drawn(WIDTH).requires_grad_()
    gate, up = drawn(1, TOKENS, INNER).requires_grad_(), drawn(1, TOKENS, INNER).requires_grad_()
    heads = drawn(1, TOKENS, HEADS, 64).transpose(1, 2).requires_grad_()
    angles = drawn(TOKENS, 64), drawn(TOKENS, 64)
    scores, hidden = drawn(2, 768, 512), torch.ones(256, 512, dtype=torch.bool).triu(257)
    logits, targets = drawn(SUPERVISED, VOCABULARY), torch.randint(VOCABULARY, (SUPERVISED,))
    kept, nll = logits.clone(), torch.empty(SUPERVISED)

    rows, inner, low, up_B = drawn(TOKENS, WIDTH), drawn(TOKENS, INNER), drawn(TOKENS, 8), drawn(INNER, 8)
    whole = {
        "attention": attention(),
        "weights' gradient": lambda: tiles.product(inner.mT, rows),
        "adapter's output": lambda: tiles.product(low, up_B.mT, 2.0, onto=inner),
        "adapter's gradient": lambda: tiles.product(low.mT, inner, 2.0).mT,
        "optimizer": optimizer(),
    }

    def torch_softmax() -> Tensor:
        seen = scores.clone().view(2, 3, 256, 512).masked_fill_(hidden, float("-inf"))
        return torch.softmax(seen.view(scores.shape), -1)

    return {
        "norm": (both_ways(torch_norm, x, weight), both_ways(lambda x, w: rowwise.norm(x, w, 1e-6), x, weight)),
        "gate": (both_ways(lambda g, u: functional.silu(g) * u, gate, up), both_ways(rowwise.gate, gate, up)),
        "rotation": (both_ways(torch_rotation, heads, *angles), both_ways(rowwise.rotate, heads, *angles)),
        "softmax, there": (torch_softmax, lambda: rowwise.softmax(scores.clone(), 256, None)),
        "losses": (
            lambda: to_errors(kept, targets, nll, True),
            lambda: rowwise.losses(logits, targets, nll, True),
        ),
        **{name: (without(work), work) for name, work in whole.items()},
    }  # fmt: skip


def spent(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=8)
    rounds = parser.parse_args().rounds
    if rowwise.LIBRARY is None or tiles.LIBRARY is None:
        sys.exit("The compiled code isn't there: see `tunery doctor`.")
    torch.set_num_threads(1)
    for name, (theirs, ours) in parts().items():
        times = [(spent(theirs), spent(ours)) for _ in range(rounds)][1:]
        slow, fast = (min(column) * 1000 for column in zip(*times, strict=True))
        sys.stdout.write(
            f"{name:18} torch {slow:7.2f} ms, compiled {fast:7.2f} ms: {slow / fast:4.1f} times faster\n"
        )


if __name__ == "__main__":
    main()
