"""The main job in one go: import, train, evaluate, publish, ask; then the console is yours."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tunery.cli.output import Command, answer, note, say

if TYPE_CHECKING:
    from tunery.cli.demo import Report

API_VERSION = 1
_REPORT = Path("demo-report.json")


@click.command(cls=Command)
def command() -> None:
    """Fine-tune the starter model on the bundled sample, then leave the server running.

    TUNERY_DATA and TUNERY_PORT choose data folder and port, TUNERY_DEMO_SEED other rows; TUNERY_DEMO_ONCE=1
    ends after the report. demo-report.json holds the figures.
    """
    from tunery.cli import demo
    from tunery.sdk.client import Client

    data, port, seed, once = demo.settings_from_environment()
    _REPORT.unlink(missing_ok=True)
    with demo.server(data, port) as url, Client(url) as client:
        note(f"Tunery answers at {url}")
        report = demo.run_demo(client, data, seed)
        demo.write_report(report, _REPORT)
        answer(demo.asdict(report), lambda: _show(report))
        if not once:
            note(f"\nThe console is open at {url}; sign in with this token: {client.config.token}")
            note("Ctrl-C stops the server; `tunery up` starts it again.")
            demo.wait_for_end()


def _show(report: "Report") -> None:
    say("")
    say(
        f"Exact match on {report.held_out_rows} held-out rows, half of them with values never seen in training:"
    )
    say(f"  base   {report.base_exact_match:6.1%}")
    say(f"  tuned  {report.tuned_exact_match:6.1%}")
    say(
        f"Trained {report.steps} steps in {report.train_seconds:.0f} s "
        f"({report.train_tokens_per_second:,.0f} tokens/s), published as {report.model}."
    )
    say(f"\nAsked:   {report.question}")
    say(f"Answer:  {report.answer}")
    say(f"Figures: {_REPORT.resolve()}")
