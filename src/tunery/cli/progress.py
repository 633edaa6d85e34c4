"""A training as it goes on: a bar on a terminal, a line now and then elsewhere, nothing with --json.

It is fed event bodies, whether they come from a file or from a server, and passes over types it doesn't know.
"""

import sys
import time
from types import TracebackType
from typing import Any, Protocol, Self

from tunery.cli.output import clean, note, number, wants_json

LINE_EVERY = 5.0
_COUNTS = ("rows", "tokens", "supervised_tokens", "steps", "trainable_parameters", "parameters")


class View(Protocol):
    """Shows a training."""

    def event(self, body: dict[str, Any]) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def training_view() -> View:
    """The view that fits where the output goes."""
    if wants_json():
        return _Quiet()
    return _Bar() if sys.stderr.isatty() else _Lines()


class _Quiet:
    def event(self, body: dict[str, Any]) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class _Lines(_Quiet):
    """Plain lines, no more than one in a few seconds for metrics."""

    def __init__(self) -> None:
        self._steps = 0
        self._shown = 0.0

    def event(self, body: dict[str, Any]) -> None:
        match body.get("type"):
            case "started" if body["steps"] == 0:
                note(_judging(body))
            case "started":
                self._steps = body["steps"]
                note(_opening(body))
            case "metric" if time.monotonic() - self._shown >= LINE_EVERY or body["step"] >= self._steps:
                self._shown = time.monotonic()
                note(f"step {body['step']}/{self._steps}  {_measured(body['values'])}")
            case "log":
                note(body["message"])
            case "checkpoint":
                note(f"checkpoint {body['name']} saved")
            case "progress":
                note(f"{body['stage']}: row {body['done']:,} of {body['total']:,}")


class _Bar(_Quiet):
    """A bar on a terminal; sentences scroll above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[measured]}", markup=False),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("preparing", total=None, measured="")

    def event(self, body: dict[str, Any]) -> None:
        match body.get("type"):
            case "started" if body["steps"] == 0:
                self._bar.update(self._task, total=body["rows"], completed=0, measured="")
                self._print(_judging(body))
            case "started":
                self._bar.update(
                    self._task,
                    description="training",
                    total=body["steps"],
                    completed=body.get("resumed_from") or 0,
                )
                self._print(_opening(body))
            case "metric":
                shown = _measured(body["values"])
                self._bar.update(self._task, completed=body["step"])
                if shown:
                    self._bar.update(self._task, measured=shown)
            case "log":
                self._print(body["message"])
            case "progress":
                self._bar.update(
                    self._task, description=clean(body["stage"]), completed=body["done"], total=body["total"]
                )

    def _print(self, text: str) -> None:
        self._bar.console.print(clean(text), markup=False, highlight=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


def _judging(body: dict[str, Any]) -> str:
    return f"Comparing base and tuned model on {body.get('rows') or 0:,} held-out rows."


def _opening(body: dict[str, Any]) -> str:
    count = {name: f"{body.get(name) or 0:,}" for name in _COUNTS}
    tokens = f", {count['tokens']} tokens per epoch ({count['supervised_tokens']} trained on)"
    if body.get("tokens") is None:  # rows become tokens while it trains
        tokens = ""
    went_on = f", resuming from step {body['resumed_from']}" if body.get("resumed_from") else ""
    return (
        f"{count['rows']} rows{tokens}, {count['steps']} steps, "
        f"{count['trainable_parameters']} of {count['parameters']} parameters trainable{went_on}"
    )


def _measured(values: dict[str, float]) -> str:
    shown = []
    if "train_loss" in values:
        shown.append(f"loss {number(values['train_loss'])}")
    if "validation_loss" in values:
        shown.append(f"validation loss {number(values['validation_loss'])}")
    if "tokens_per_second" in values:
        shown.append(f"{values['tokens_per_second']:,.0f} tokens/s")
    return "  ".join(shown)
