"""The loop over a fixed dataset, from the attempt folder to the trained model. Read it top to bottom.

It knows neither what the method's loss is nor which model it trains.
"""

import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch

from tunery.core.attempt import AttemptFolder, Want
from tunery.core.errors import Problem
from tunery.engine import checkpoint
from tunery.engine.batches import Batch, collate, plain_groups
from tunery.engine.control import Control
from tunery.engine.course import Course
from tunery.engine.events import Events
from tunery.engine.feed import Feed
from tunery.engine.inputs import read_train_inputs
from tunery.engine.lookout import Lookout
from tunery.engine.machine import memory_mb
from tunery.engine.parts import Parts
from tunery.engine.policy import Policy
from tunery.engine.reference import known, with_reference
from tunery.engine.samples import samples_of
from tunery.engine.schedule import leads_no_further, learning_rate
from tunery.engine.token_cache import TokenCache
from tunery.engine.tokenizing import Tokenizing
from tunery.engine.tokens import TokenStore
from tunery.methods.point import Method
from tunery.models.folder import CHAT_TEMPLATE_FILE
from tunery.schemas.engine import EngineInput, EngineSpec, TrainResult
from tunery.schemas.settings import TrainingSettings


@dataclass
class Position:
    """Where the training is; saved with every checkpoint."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    """Batches of this epoch already trained on."""
    tokens: int = 0
    """Trained on and validated on, each step once however often it was begun again."""
    loss_sum: float = 0.0
    """Since the last metric was written."""
    loss_weight: float = 0.0
    first_loss: float | None = None
    last_loss: float | None = None
    validation_loss: float | None = None
    metrics: dict[str, list[float]] = field(default_factory=dict)
    """Sum and weight of what the method measured since the last metric was written."""
    validated: int = 0
    """The step of the newest validation."""
    watched: list[float] = field(default_factory=list)
    """What early stopping looks at, at each validation."""
    enough: bool = False
    """Early stopping ended the training."""
    best: tuple[float, int] | None = None
    """The lowest validation loss at a step with a checkpoint, and that step."""


class Training:
    """One attempt at a training: everything the loop holds in its hands."""

    def __init__(
        self, folder: AttemptFolder, spec: EngineSpec, given: EngineInput, events: Events, control: Control
    ) -> None:
        self.folder, self.events, self.control = folder, events, control
        inputs = read_train_inputs(spec, given)
        self.settings: TrainingSettings = inputs.settings
        self.method: Method = inputs.method
        for note in inputs.notes:
            events.log(note)

        # Rows become tokens, or will.
        self._cache = None if given.tokens is None else TokenCache(Path(given.tokens))
        tokenizing = partial(Tokenizing, inputs=inputs, events=events, aside=folder.path, cache=self._cache)
        self._rows = tokenizing("tokenize", inputs.train, given.train)
        self.train = self._rows.store
        self.course = Course(self.train, self.method, self.settings)
        if not self.course.by_rows:
            self._rows.fill()
        self.validation = None
        if inputs.validation and given.validation:
            self.validation = tokenizing("tokenize validation", inputs.validation, [given.validation]).fill()

        # The model, new or as a checkpoint left it.
        seed_everything(self.settings.seed)
        found = checkpoint.newest(
            [Path(path) for path in given.resume_from], lambda text: events.log(text, "warning")
        )
        if found is None and given.resume_from:
            events.log("No usable checkpoint was found; training starts from the beginning.", "warning")
        self.policy = Policy(
            inputs.base,
            inputs.family,
            self.settings,
            base_name=spec.resolved.spec.base_model,
            start=Path(given.start) if given.start else None,
            resume=found.path if found else None,
            scored="score" in self.method.NEEDS,
        )
        self.position = self._restore(found) if found else Position()
        self.saved_step = found.step if found else 0

        titles = [part.title for part in given.parts]
        self._parts = Parts("train_loss", titles, [part.train for part in given.parts])
        self._validation_parts = Parts("loss", titles, [part.validation for part in given.parts])

        self._samples = samples_of(inputs)
        self._template = None if "text" in self.method.TAKES else inputs.renderer.brought_template

        # The plan.
        self.steps = self.course.steps
        self._first_step = self.position.step
        self.train_seconds = self.waited = 0.0
        self.tokens = self.supervised = 0
        self._lookout = Lookout()
        self._mark = (0.0, 0, 0)  # seconds, tokens, supervised at the last metric
        events.step = self.position.step
        counts = self.train.counts if self.train.complete else None
        events.write(
            "started",
            steps=self.steps,
            rows=len(inputs.train),
            validation_rows=len(inputs.validation or ()),
            tokens=counts and counts.tokens,
            supervised_tokens=counts and counts.supervised,
            trainable_parameters=self.policy.trainable,
            parameters=self.policy.parameters,
            resumed_from=found.step if found else None,
        )

    def run(self) -> TrainResult:
        """Train until the plan is done or something else is wanted."""
        asked: Want = "run"
        if "reference" in self.method.NEEDS:
            self._ask_reference()
            asked = self.control.wanted()
        self.policy.training(True)
        if self._validation_is_due() and asked == "run":
            self._validate()  # the checkpoint gone on from was saved before it
        with self.course.feed(self.position.epoch, self.position.batch) as feed:
            while not self._done() and asked == "run":
                asked = self.control.wanted()
                if asked == "run":
                    self._step(feed)
                    self._measure()
        return self._finish(asked)

    def _done(self) -> bool:
        return self.position.step >= self.steps or self.position.enough

    def _ask_reference(self) -> None:
        """Let the untrained model judge all rows, unless an earlier attempt did."""
        for name, store in self._stores():
            if store.reference is None:
                asked = with_reference(
                    store,
                    self.policy.reference,
                    lambda done, total, name=name: self.events.progress(f"reference {name}", done, total),
                    lambda: self.control.wanted() != "run",
                )
                if asked is None:
                    return
                setattr(self, name, asked)
        if "mismatched" not in self.method.NEEDS:
            self.policy.forget_reference()

    def _stores(self) -> list[tuple[str, TokenStore]]:
        """The tokens there are, by name."""
        validating = self.validation is not None and self.settings.eval_steps > 0
        return [("train", self.train), *([("validation", self.validation)] if validating else [])]  # pyright: ignore[reportReturnType]

    # -- one optimizer step

    def _step(self, feed: Feed) -> None:
        """The next step of the course. One whose rows hold nothing to learn from is passed over."""
        began, waited = time.monotonic(), feed.waited
        planned, batches = feed.next()
        self.waited += feed.waited - waited
        if batches:
            self._learn(batches, began)
        self._rows.look()
        position = self.position
        position.step += 1
        position.batch = planned.first + len(planned.groups)
        self.events.step = position.step
        self._epoch = position.epoch + position.batch / planned.of
        if position.batch == planned.of:
            position.epoch, position.batch = position.epoch + 1, 0

    def _learn(self, batches: list[Batch], began: float) -> None:
        """Gradients of every batch of the step, then one step on their mean."""
        position, optimizer = self.position, self.policy.optimizer
        total, weight = 0.0, 0
        rows: tuple[int, ...] = ()
        for batch in batches:
            rows += batch.rows
            loss = self.method.loss(self.settings, self.policy, batch)
            value = float(loss.total.detach())
            if not math.isfinite(value):
                self._refuse(value, batch.rows)
            loss.total.backward()
            total, weight = total + value, weight + loss.weight
            add(position.metrics, {**loss.metrics, **self._parts.split(batch.rows, loss)})
            self.tokens += batch.tokens_T.numel()
            position.tokens += batch.tokens_T.numel()
            self.supervised += batch.supervised
        norm = optimizer.gradient_norm(weight)
        if not math.isfinite(norm):
            self._refuse(norm, rows)
        rate = learning_rate(self.settings, position.step, self.steps)
        optimizer.step(rate, weight, norm)
        self.train_seconds += time.monotonic() - began

        position.loss_sum += total
        position.loss_weight += weight
        position.last_loss = total / weight
        if position.first_loss is None:
            position.first_loss = position.last_loss
        usual = self._lookout.above(position.last_loss)
        if usual is not None:
            self.events.step = position.step + 1
            numbers = [row + 1 for row in rows[:64]]
            self.events.write("stands_out", loss=position.last_loss, usual=usual, rows=numbers)
        self._last = {"learning_rate": rate, "grad_norm": norm}

    def _refuse(self, value: float, found: tuple[int, ...]) -> NoReturn:
        """Nothing of this step has touched the weights yet, so what there is can be kept."""
        self.policy.optimizer.forget_gradients()
        self._save()
        rows = ", ".join(str(row + 1) for row in found[:8])
        raise Problem("loss_not_finite", value=str(value), step=self.position.step + 1, rows=rows)

    # -- what is due after a step

    def _measure(self) -> None:
        """Write metrics, save, validate, each when it is due; saving comes before what might fail."""
        position, settings = self.position, self.settings
        last = position.step == self.steps
        if (position.step % settings.logging_steps == 0 or last) and position.loss_weight:
            self._write_metrics()
        if position.step % settings.checkpoint_steps == 0 and not last:
            self._save()
        if self._validation_is_due():
            self._validate()

    def _validation_is_due(self) -> bool:
        step, every = self.position.step, self.settings.eval_steps
        return bool(every) and self.position.validated < step and (step % every == 0 or step == self.steps)

    def _write_metrics(self) -> None:
        position = self.position
        seconds, tokens, supervised = self._mark
        spent = self.train_seconds - seconds
        pace = self.train_seconds / max(1, position.step - self._first_step)
        self.events.metric(
            {
                "train_loss": position.loss_sum / position.loss_weight,
                **self._last,
                **means(position.metrics),
                "epoch": round(self._epoch, 4),
                "tokens_per_second": (self.tokens - tokens) / spent,
                "supervised_tokens": self.supervised - supervised,
                "tokens": position.tokens,
                "memory_mb": round(memory_mb(), 1),
                "eta_seconds": round(pace * (self.steps - position.step), 1),
            }
        )
        position.loss_sum = position.loss_weight = 0.0
        position.metrics = {}
        self._mark = (self.train_seconds, self.tokens, self.supervised)

    def _validate(self) -> None:
        """Mean loss over the validation rows, without dropout."""
        if self.validation is None:
            return
        self.policy.training(False)
        total, weight = 0.0, 0
        metrics: dict[str, list[float]] = {}
        with torch.no_grad():
            for group in plain_groups(
                len(self.validation), self.settings.eval_batch_size, self.course.at_least
            ):
                batch = collate(self.validation, group)
                self.position.tokens += batch.tokens_T.numel()
                loss = self.method.loss(self.settings, self.policy, batch)
                total, weight = total + float(loss.total), weight + loss.weight
                add(metrics, {**loss.metrics, **self._validation_parts.split(batch.rows, loss)})
                if self.control.wanted() == "cancel":
                    return
        self.position.validation_loss = total / weight
        self.position.validated = self.position.step
        self._note_best(total / weight)
        measured = {f"validation_{name}": value for name, value in means(metrics).items()}
        self.events.metric({"validation_loss": total / weight, **measured, "tokens": self.position.tokens})
        if self._samples is not None:
            self._samples.answer(self.policy, self.events, lambda: self.control.wanted() == "cancel")
        self.policy.training(True)
        self._watch()

    def _note_best(self, loss: float) -> None:
        """The checkpoint of the lowest validation loss stays, however many are saved after it."""
        position = self.position
        if self.saved_step == position.step and (position.best is None or loss < position.best[0]):
            position.best = (loss, position.step)

    def _watch(self) -> None:
        """End the training where early stopping is asked for and validations show no more progress."""
        position, settings = self.position, self.settings
        value = (
            position.validation_loss
            if settings.early_stopping_metric == "validation_loss"
            else position.last_loss
        )
        if not settings.early_stopping or value is None:
            return
        position.watched.append(value)
        if leads_no_further(settings, position.watched) and position.step < self.steps:
            position.enough = True
            self.events.log(
                f"Early stopping: {settings.early_stopping_metric} didn't improve in the last "
                f"{settings.early_stopping_patience} validations. The model from step {position.step} is kept."
            )

    # -- keeping

    def _save(self) -> None:
        """A checkpoint of this very moment, unless there is one."""
        if self.saved_step == self.position.step:
            return
        saved = checkpoint.save(
            self.folder,
            self.position.step,
            write_model=lambda folder: self._write(folder, exact=True),
            optimizer=self.policy.optimizer.state(),
            state={"position": asdict(self.position)},
            limit=self.settings.checkpoint_limit,
            best=self.position.best and self.position.best[1],
            reference={
                name: torch.from_numpy(store.reference)
                for name, store in self._stores()
                if store.reference is not None
            },
        )
        self.saved_step = saved.step
        self.events.write("checkpoint", name=saved.path.name, bytes=saved.bytes, hash=saved.hash)

    def _write(self, folder: Path, *, exact: bool) -> None:
        """The model as it is, and the chat template it was taught in where its base brings none."""
        self.policy.save(folder, exact=exact)
        if self._template is not None:
            (folder / CHAT_TEMPLATE_FILE).write_text(self._template, encoding="utf-8")

    def _restore(self, found: checkpoint.Saved) -> Position:
        state = checkpoint.load_state(found.path)
        if found.step:
            self.policy.optimizer.load_state(checkpoint.load_optimizer(found.path), found.step)
        reference = checkpoint.load_reference(found.path)
        self.train = known(self.train, reference.get("train"))
        if self.validation is not None:
            self.validation = known(self.validation, reference.get("validation"))
        checkpoint.restore_random(found.path, state)
        return Position(**state["position"])

    def _finish(self, asked: Want) -> TrainResult:
        if self._cache is not None:
            self._cache.settle()
        position = self.position
        if position.best is not None and (position.validation_loss or 0.0) > position.best[0]:
            loss, step = position.best
            self.events.log(
                f"Validation loss was lowest at step {step} ({loss:.4g}); its checkpoint is kept."
            )
        result = TrainResult(
            status="succeeded",
            steps=position.step,
            train_seconds=round(self.train_seconds, 3),
            tokens=self.tokens,
            supervised_tokens=self.supervised,
            tokens_per_second=round(self.tokens / self.train_seconds, 1) if self.train_seconds else 0.0,
            data_wait_share=round(self.waited / self.train_seconds, 4) if self.train_seconds else 0.0,
            first_loss=position.first_loss,
            last_loss=position.last_loss,
            validation_loss=position.validation_loss,
        )
        if asked == "cancel":
            result.status = "cancelled"
        elif asked == "pause":
            self._save()
            result.status = "paused"
        else:
            if asked == "stop":
                self._save()
            if position.enough and position.loss_weight:
                self._write_metrics()
            checkpoint.publish_folder(self.folder.output, lambda folder: self._write(folder, exact=False))
            result.status = "stopped" if asked == "stop" else "succeeded"
            result.output = self.folder.output.name
            result.output_kind = "adapter" if self.policy.adapter else "full"
        result.peak_rss_mb = round(memory_mb(peak=True), 1)
        return result


def add(sums: dict[str, list[float]], more: Mapping[str, tuple[float, float]]) -> None:
    """Add sums and weights by name."""
    for name, (value, weight) in more.items():
        known = sums.setdefault(name, [0.0, 0.0])
        known[0] += value
        known[1] += weight


def means(sums: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Sums over weights."""
    return {name: value / weight for name, (value, weight) in sums.items()}


def seed_everything(seed: int) -> None:
    """New weights and dropout follow from the seed."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


def train(
    folder: AttemptFolder, spec: EngineSpec, given: EngineInput, events: Events, control: Control
) -> TrainResult:
    """Do one attempt of a training."""
    return Training(folder, spec, given, events, control).run()
