"""Check whether everything Tunery needs is present, and say how to fix what isn't."""

import click

from tunery.cli.output import Command, answer, say

API_VERSION = 1


@click.command(cls=Command)
def command() -> None:
    """Check whether everything Tunery needs is present, and say how to fix what isn't."""
    from tunery.cli.checks import examine

    findings = examine()
    bad = [finding for finding in findings if finding.verdict == "bad"]

    def people() -> None:
        for finding in findings:
            sign = {"good": "ok  ", "notice": "note", "bad": "BAD "}[finding.verdict]
            say(f"{sign}  {finding.what}: {finding.found}")
            if finding.cure:
                say(f"      → {finding.cure}")

    answer([vars(finding) for finding in findings], people)
    click.get_current_context().exit(1 if bad else 0)
