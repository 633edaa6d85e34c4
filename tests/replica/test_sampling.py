"""Choosing a token: the nucleus, the seed, the likeliest."""

import torch

from tunery.replica.sampling import Sampling, choose, logprobs

_LOGITS = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))


def _draws(sampling: Sampling, count: int = 400) -> list[int]:
    generator = sampling.generator()
    return [choose(_LOGITS, sampling, generator) for _ in range(count)]


def test_temperature_zero_takes_the_likeliest() -> None:
    assert set(_draws(Sampling(temperature=0), 20)) == {0}


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    assert set(_draws(Sampling(top_p=0.7, seed=1))) == {0, 1}
    assert set(_draws(Sampling(top_p=0.01, seed=1))) == {0}
    assert set(_draws(Sampling(seed=1))) == {0, 1, 2, 3}


def test_draws_follow_the_probabilities() -> None:
    found = _draws(Sampling(seed=5), 4000)
    shares = [found.count(token) / len(found) for token in range(4)]
    assert all(
        abs(share - wanted) < 0.03 for share, wanted in zip(shares, (0.5, 0.3, 0.15, 0.05), strict=True)
    )


def test_the_seed_decides() -> None:
    assert _draws(Sampling(seed=7)) == _draws(Sampling(seed=7))
    assert _draws(Sampling(seed=7)) != _draws(Sampling(seed=8))
    assert _draws(Sampling(seed=-3)) == _draws(Sampling(seed=-3))
    assert _draws(Sampling()) != _draws(Sampling())


def test_logprobs_name_the_likeliest_in_order() -> None:
    own, top = logprobs(_LOGITS, 2, 2)
    assert abs(own - float(torch.log(torch.tensor(0.15)))) < 1e-6
    assert [token for token, _ in top] == [0, 1]
    assert logprobs(_LOGITS, 2, 0)[1] == []
