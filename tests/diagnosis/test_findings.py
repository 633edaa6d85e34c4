"""Every finding on made curves: it is found where it was put in, and good curves stay quiet, also while they grow."""

from dataclasses import replace
from random import Random

import pytest

from tests.diagnosis.made import FAULTS, good, history
from tunery.diagnosis.findings.point import FINDINGS
from tunery.diagnosis.history import Curve, History, of_events
from tunery.diagnosis.look import diagnose
from tunery.schemas.diagnosis import Finding

FOUND = {"flat": 0.6, "still": 0.8}
"""Of the faults that noise may hide, so many at least; of the others, 95 %."""


def findings(of: History) -> list[Finding]:
    return diagnose("run", of).findings


def codes(of: History) -> list[str]:
    return [finding.code for finding in findings(of)]


def upto(of: History, step: int) -> History:
    """The same while it was still going on."""

    def cut(curve: Curve) -> Curve:
        count = sum(known <= step for known in curve.steps)
        return Curve(curve.steps[:count], curve.values[:count])

    return replace(
        of,
        train=cut(of.train),
        validation=cut(of.validation),
        learning_rate=cut(of.learning_rate),
        grad_norm=cut(of.grad_norm),
        ended=False,
    )


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name: str) -> None:
    make, code = FAULTS[name]
    hits = sum(code in codes(make(Random(seed))) for seed in range(40))
    assert hits >= 40 * FOUND.get(name, 0.95)


def test_of_good_curves_hardly_one_gives_an_alarm() -> None:
    alarms = {seed: found for seed in range(300) if (found := codes(good(seed)))}
    assert len(alarms) <= 3, alarms


def test_good_curves_give_hardly_an_alarm_while_they_grow() -> None:
    looks = [
        (seed, share, codes(upto(whole, int(share * whole.steps))))
        for seed in range(60)
        for whole in [good(seed)]
        for share in (0.05, 0.15, 0.3, 0.5, 0.7, 0.9)
    ]
    alarms = [look for look in looks if look[2]]
    assert len(alarms) <= 4, alarms


@pytest.mark.parametrize("code", FINDINGS.names())
def test_nothing_is_said_of_nothing(code: str) -> None:
    sign = FINDINGS.load(code)
    for empty in (
        History(Curve()),
        History(Curve.of([1], [2.0]), ended=True),
        History(Curve(), ended=True, steps=9),
    ):
        assert sign.look(empty) is None


def test_a_finding_names_its_figures_and_what_to_do() -> None:
    (found,) = (one for one in findings(FAULTS["peaks"][0](Random(3))) if one.code == "spike")
    assert found.steps
    assert found.rows == sorted(found.rows)
    assert {(step - 1) * 7 + 1 for step in found.steps} <= set(found.rows)
    assert f"{found.values['highest']:.3g}" in found.message
    assert found.advice
    assert "rows named here" in found.advice[0]


def test_a_loss_that_is_no_number_points_at_the_rows_of_its_step() -> None:
    reason = {"code": "loss_not_finite", "params": {"step": 13, "value": "nan", "rows": "4, 8, 15"}}
    (found,) = findings(history([3.0] * 12, [1e-3] * 12, reason=reason))
    assert (found.code, found.severity, found.rows, found.steps) == (
        "divergence",
        "problem",
        [4, 8, 15],
        [13],
    )


def test_the_worst_comes_first() -> None:
    risen = FAULTS["rising"][0](Random(1))
    found = findings(replace(risen, counts={"rows": 100, "dropped_rows": 10}))
    assert [one.severity for one in found] == sorted(
        (one.severity for one in found), key=["problem", "warning", "hint"].index
    )
    assert found[0].code == "divergence"


@pytest.mark.parametrize(("dropped", "severity"), [(60, "problem"), (5, "warning"), (1, None), (0, None)])
def test_rows_without_anything_to_learn_from(dropped: int, severity: str | None) -> None:
    found = findings(replace(good(1), counts={"rows": 100, "dropped_rows": dropped}))
    assert [one.severity for one in found if one.code == "labels_masked"] == ([severity] if severity else [])


def test_all_labels_masked_is_told_before_the_first_step_and_by_losses_of_nothing() -> None:
    refused = History(Curve(), ended=True, reason={"code": "no_supervised_tokens"})
    assert [(one.code, one.severity) for one in findings(refused)] == [("labels_masked", "problem")]
    steps = list(range(1, 30))
    nothing = Curve.of(steps, [0.0] * 29)
    assert "labels_masked" in codes(History(nothing, grad_norm=nothing, steps=29, ended=True))


def test_a_very_low_loss_is_a_hint_until_rows_apart_decide() -> None:
    rng = Random(5)
    low = history([3.0 * 0.95**at + 0.1 + rng.uniform(0, 0.01) for at in range(120)], [1e-4] * 120)

    def severity(of: History) -> list[str]:
        return [one.severity for one in findings(of) if one.code == "low_loss"]

    assert severity(low) == ["hint"]
    assert severity(replace(low, held_out_loss=0.11)) == []
    assert severity(replace(low, held_out_loss=0.9)) == ["warning"]
    assert severity(replace(low, validation=Curve.of([60, 120], [0.5, 0.12]))) == []
    assert severity(replace(low, words=False)) == [], "a preference loss is no likelihood"


def test_waves_that_the_schedule_asks_for_are_no_oscillation() -> None:
    wavy = FAULTS["waves"][0](Random(2))
    assert "oscillation" in codes(wavy)
    restarts = [1e-4 * (1 - at % 20 / 20) for at in range(len(wavy.train))]
    planned = replace(wavy, learning_rate=Curve.of(wavy.train.steps, restarts))
    assert "oscillation" not in codes(planned)


def test_a_history_is_read_from_an_attempt_s_own_events() -> None:
    events = [
        {"type": "started", "step": 0, "steps": 40, "rows": 90},
        {"type": "tokenized", "step": 0, "stage": "tokenize validation", "dropped_rows": 1},
        {"type": "tokenized", "step": 0, "stage": "tokenize", "dropped_rows": 9},
        {"type": "metric", "step": 1, "values": {"train_loss": 2.0, "learning_rate": 0.1}},
        {"type": "metric", "step": 2, "values": {"train_loss": float("nan")}},
        {"type": "metric", "step": 1, "values": {"train_loss": 1.5}},
        {"type": "stands_out", "step": 1, "rows": [3, 4], "loss": 1.5, "usual": 1.0},
        {"type": "something_newer", "step": 1},
    ]
    found = of_events(events, settings={}, words=True, ended=False)
    assert (found.train.steps, found.train.values, found.steps) == ((1,), (1.5,), 40)
    assert (found.counts, found.standing_out) == ({"rows": 90, "dropped_rows": 9}, {1: (3, 4)})
