"""Watching a run on the server until it has ended. Ctrl-C ends the watching, never the run."""

import time

import click

from tunery.cli.output import answer, clean, note, number, say
from tunery.cli.progress import training_view
from tunery.cli.runs_in_words import run_name, waits
from tunery.core.errors import Problem
from tunery.schemas.run import RunDetail, RunLog
from tunery.sdk.client import Client
from tunery.sdk.routes.runs import TERMINAL

POLL = 1.0
"""Seconds between questions to the server while there is nothing new: nobody reads faster."""


def follow_run(client: Client, run: str) -> None:
    """Show a run's events, then how it ended. Exits 1 with its Problem when it failed, 130 on Ctrl-C."""
    if says := waits(client.runs.get(run)):
        note(says)
    try:
        with training_view() as view:
            for event in client.runs.stream(run):
                view.event(event.body)
    except KeyboardInterrupt:
        note(
            f"The run continues. Follow it again with `tunery runs watch {run}`, "
            f"or stop it with `tunery runs stop {run}`."
        )
        click.get_current_context().exit(130)
    ended = client.runs.get(run)
    if ended.state == "failed" and ended.reason:
        raise Problem.from_dict(ended.reason)
    answer(ended, lambda: _show_end(ended))
    if ended.state == "failed":
        click.get_current_context().exit(1)


def follow_log(client: Client, run: str, part: RunLog) -> None:
    """Print what is appended to the log until the run has ended."""
    try:
        while True:
            ended = client.runs.get(run).state in TERMINAL
            newer = client.runs.log(run, offset=part.offset)
            if newer.attempt != part.attempt:
                newer = client.runs.log(run)
            click.echo(clean(newer.text), nl=False)
            part = newer
            if ended and not newer.text:
                return
            if not newer.text:
                time.sleep(POLL)  # the log is on another machine
    except KeyboardInterrupt:
        click.get_current_context().exit(130)


def _show_end(run: RunDetail) -> None:
    say(f"{run_name(run)} {run.state} at step {run.progress.step}, loss {number(run.progress.loss)}.")
    if run.model:
        say(f"Published as {run.model}: `tunery chat {run.model}`")
    elif run.state in ("succeeded", "stopped"):
        say(f"Publish it with `tunery models publish {run.id}`.")
