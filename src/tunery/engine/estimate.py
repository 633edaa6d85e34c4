"""Tries a training for a moment: the real model on batches of its real rows, the longest among them.

What it learns on the way is thrown away. It says what the whole training will come to, with a band.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from tunery.core.attempt import AttemptFolder
from tunery.engine.batches import FILL, Group, collate, plain_groups, plan_epoch, steps_of
from tunery.engine.control import Control
from tunery.engine.events import Events
from tunery.engine.forecast import first_meetings, memory_of, seconds_of
from tunery.engine.inputs import read_train_inputs
from tunery.engine.machine import memory_limit_mb, memory_mb
from tunery.engine.policy import Policy
from tunery.engine.reference import asked_together, known
from tunery.engine.samples import samples_of
from tunery.engine.tokens import TokenStore, tokenize
from tunery.methods.point import Method
from tunery.schemas.engine import EngineInput, EngineSpec
from tunery.schemas.estimate import EstimateResult, Probe
from tunery.schemas.settings import TrainingSettings

_ROUNDS = 3
_SHARES = (0.1, 0.35, 0.65, 0.9)
"""Places among the batches, by length, that are tried beside the longest."""
_ENOUGH_SECONDS = 60.0


class Trial:
    """A model in training that is only timed."""

    def __init__(self, store: TokenStore, method: Method, settings: TrainingSettings, policy: Policy) -> None:
        self._method, self._settings, self._policy = method, settings, policy
        self._store = store
        self._judged = "reference" in method.NEEDS
        if self._judged:
            # A training asks the untrained model once for all rows; its answers don't change what a step costs.
            self._store = known(store, torch.zeros(store.branches, dtype=torch.float64))
        policy.training(True)

    def batch(self, group: Group) -> Probe:
        """Loss and gradients of a batch."""
        began = time.monotonic()
        batch = collate(self._store, group)
        loss = self._method.loss(self._settings, self._policy, batch)
        loss.total.backward()
        self._weight = loss.weight
        return Probe(tokens=batch.tokens_T.numel(), seconds=time.monotonic() - began)

    def optimizer(self) -> float:
        """Seconds of one step on what is gathered."""
        began = time.monotonic()
        norm = self._policy.optimizer.gradient_norm(self._weight)
        self._policy.optimizer.step(self._settings.learning_rate, self._weight, norm)
        return time.monotonic() - began

    def reference(self, raw: TokenStore, group: Group) -> float:
        """Seconds a token that the untrained model takes; 0 where it isn't asked."""
        if not self._judged:
            return 0.0
        batch = collate(raw, group)
        self._policy.reference(batch)  # the first one waits for the untrained model to be loaded
        began = time.monotonic()
        self._policy.reference(batch)
        if "mismatched" not in self._method.NEEDS:
            self._policy.forget_reference()
        return (time.monotonic() - began) / batch.tokens_T.numel()

    def validation(self, store: TokenStore, group: Group) -> float:
        """Seconds a token of measuring only."""
        self._policy.training(False)
        began = time.monotonic()
        with torch.no_grad():
            batch = collate(store, group)
            self._method.loss(self._settings, self._policy, batch)
        self._policy.training(True)
        return (time.monotonic() - began) / batch.tokens_T.numel()


def estimate(
    folder: AttemptFolder, spec: EngineSpec, given: EngineInput, events: Events, control: Control
) -> EstimateResult:
    """Try the training that the folder describes."""
    began = time.monotonic()
    inputs = read_train_inputs(spec, given)
    settings, method = inputs.settings, inputs.method

    def tick(done: int, total: int) -> None:
        events.progress("tokenize", done, total)

    store = tokenize(inputs.train, method, inputs.renderer, settings, folder.path, tick)
    policy = Policy(
        inputs.base,
        inputs.family,
        settings,
        base_name=spec.resolved.spec.base_model,
        start=Path(given.start) if given.start else None,
        scored="score" in method.NEEDS,
    )
    set_up = time.monotonic() - began
    at_least = 2 if "mismatched" in method.NEEDS else 1
    batches, steps = _plan(store, settings, at_least)
    sizes = [int(store.lengths[group].sum()) for group in batches]
    trial = Trial(store, method, settings, policy)
    chosen = _chosen(batches, sizes)
    # As in a training: the reference first, when the optimizer's memory isn't touched yet.
    most = max(asked_together(store), key=lambda group: store.lengths[group].sum())
    other = set_up + int(store.lengths.sum()) * trial.reference(store, most)
    held = memory_mb() + policy.unused_bytes / 2**20
    first, probes, optimizing = _measure(trial, chosen, events, control)
    if control.wanted() != "run":
        return EstimateResult(status="cancelled")
    if inputs.validation and settings.eval_steps:
        rows = tokenize(inputs.validation, method, inputs.renderer, settings, folder.path)
        groups = plain_groups(len(rows), settings.eval_batch_size, at_least)
        times = -(-steps // settings.eval_steps)
        other += times * int(rows.lengths.sum()) * trial.validation(rows, groups[0])
        if (samples := samples_of(inputs)) is not None:
            asked = time.monotonic()
            samples.answer(policy, events, lambda: control.wanted() != "run")
            other += times * (time.monotonic() - asked)
    train = seconds_of(probes, sizes)
    added = steps * optimizing + first_meetings(first, probes, sizes, FILL if inputs.family.PACKED else 1)
    saving = policy.saving_bytes(exact=steps > settings.checkpoint_steps) / 2**20
    memory = memory_of(memory_mb(peak=True), held, saving)
    machine = memory_limit_mb()
    return EstimateResult(
        status="succeeded",
        rows=len(inputs.train),
        tokens=sum(sizes),
        steps=steps,
        batches=len(batches),
        longest_batch=max(sizes),
        train_seconds=train.model_copy(
            update={name: round(getattr(train, name) + added, 3) for name in ("value", "low", "high")}
        ),
        other_seconds=round(other, 3),
        memory_mb=memory,
        machine_mb=round(machine, 1),
        fits=memory.high < machine,
        probes=probes,
    )


def _plan(store: TokenStore, settings: TrainingSettings, at_least: int) -> tuple[list[Group], int]:
    """Every batch of the training, and how many optimizer steps they make."""
    batches: list[Group] = []
    steps = 0
    for epoch in range(settings.epochs):
        groups = plan_epoch(
            store.lengths,
            seed=settings.seed,
            epoch=epoch,
            batch_size=settings.batch_size,
            pack_to=settings.max_sequence_length if settings.packing else None,
            at_least=at_least,
        )
        more = steps_of(len(groups), settings.accumulation)
        if settings.max_steps >= 0 and steps + more > settings.max_steps:
            left = settings.max_steps - steps
            return batches + groups[: left * settings.accumulation], settings.max_steps
        batches += groups
        steps += more
    return batches, steps


def _chosen(batches: Sequence[Group], sizes: Sequence[int]) -> list[Group]:
    """Batches that stand for all, the longest first: what needs most memory shows at once whether it fits."""
    order = sorted(range(len(batches)), key=sizes.__getitem__)
    places = {order[int(share * (len(order) - 1))] for share in _SHARES} - {order[-1]}
    return [batches[order[-1]], *(batches[at] for at in sorted(places, key=sizes.__getitem__, reverse=True))]


def _measure(
    trial: Trial, chosen: Sequence[Group], events: Events, control: Control
) -> tuple[list[Probe], list[Probe], float]:
    """Each of them several times: the first round, when kernels are made and caches filled, the later ones, and the
    seconds of an optimizer step."""
    began = time.monotonic()
    first: list[Probe] = []
    probes: list[Probe] = []
    optimizing: list[float] = []
    for at, (number, group) in enumerate(_rounds(chosen)):
        if at % len(chosen) == 0:
            events.progress("try", number, _ROUNDS)
        if control.wanted() != "run" or (number > 1 and time.monotonic() - began > _ENOUGH_SECONDS):
            break
        probe, step = trial.batch(group), trial.optimizer()
        (probes if number else first).append(probe)
        if number:
            optimizing.append(step)
    return first, probes, sorted(optimizing)[len(optimizing) // 2] if optimizing else 0.0


def _rounds(chosen: Sequence[Group]) -> Iterator[tuple[int, Group]]:
    for number in range(_ROUNDS):
        for group in chosen:
            yield number, group
