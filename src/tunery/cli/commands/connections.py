"""Connect to object stores and model hubs, and import datasets from them."""

from typing import TYPE_CHECKING, Any, TextIO

import click

from tunery.cli.output import Group, answer, note, say, table, when

if TYPE_CHECKING:
    from tunery.schemas.project import ExtensionInfo

API_VERSION = 1
_SHOWN = 10


@click.group(cls=Group)
def command() -> None:
    """Connect to object stores and model hubs, and import datasets from them."""


@command.command("add")
@click.argument("name")
@click.argument("settings", nargs=-1, metavar="SETTING=VALUE…")
@click.option(
    "--kind", default="s3", show_default=True, help="The kind of connection; see `connections kinds`."
)
@click.option(
    "--secrets",
    type=click.File("r", encoding="utf-8"),
    help="A file with one SETTING=VALUE line per secret (- for standard input); without it you are asked.",
)
def add(name: str, settings: tuple[str, ...], kind: str, secrets: TextIO | None) -> None:
    """Create a connection called NAME: `add lake endpoint=https://s3.example.com bucket=rows`.

    Secrets don't belong on a command line, where others see them: they are asked for, or read from a file.
    """
    from tunery.sdk.client import Client

    with Client() as client:
        known = {info.name: info for info in client.connections.kinds()}
        secret = _secret(known[kind]) if kind in known else {}
        given = dict(_pair(text) for text in settings)
        for field in given.keys() & secret.keys():
            raise click.UsageError(f"{field} is a secret: leave it out to be asked, or use --secrets.")
        if secrets is not None:
            given |= dict(_pair(line) for line in secrets.read().splitlines() if line.strip())
        else:
            given |= {field: _asked(title, needed) for field, (title, needed) in secret.items()}
        made = client.connections.create(name, kind=kind, **given)
        test = client.connections.test(made.id)

    def people() -> None:
        say(f"{made.name} is saved.")
        _say_test(test)

    answer({"connection": made, "test": test}, people)


@command.command("list")
@click.option(
    "--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="The most items to list."
)
@click.option("--after", help="Continue after this id.")
def list_(limit: int, after: str | None) -> None:
    """Connections, newest first."""
    from tunery.sdk.client import Client

    with Client() as client:
        page = client.connections.list(limit, after)
    rows = [
        (
            c.name,
            c.kind,
            c.settings.get("endpoint"),
            c.settings.get("bucket"),
            "" if c.test is None else "works" if c.test.ok else "fails",
            when(c.created),
        )
        for c in page.data
    ]

    def people() -> None:
        table(["name", "kind", "endpoint", "bucket", "last test", "created"], rows)
        if page.has_more:
            note(f"More: tunery connections list --after {page.data[-1].id}")

    answer(page, people)


@command.command("kinds")
def kinds() -> None:
    """What can be connected to, with the settings of each."""
    from tunery.sdk.client import Client

    with Client() as client:
        found = client.connections.kinds()

    def people() -> None:
        for info in found:
            say(f"{info.name}: {info.help}")
            schema = info.json_schema or {}
            needed = schema.get("required", [])
            secret = _secret(info)
            rows = [
                (
                    field,
                    "secret" if field in secret else about.get("default"),
                    "needed" if field in needed else "",
                    about.get("description"),
                )
                for field, about in schema.get("properties", {}).items()
            ]
            table(["setting", "default", "", "means"], rows)

    answer(found, people)


@command.command("test")
@click.argument("name")
def test(name: str) -> None:
    """Test what an import needs, and report problems. Exit code 1 when something is."""
    from tunery.sdk.client import Client

    with Client() as client:
        found = client.connections.test(name)
    answer(found, lambda: _say_test(found))
    click.get_current_context().exit(0 if found.ok else 1)


@command.command("delete")
@click.argument("name")
def delete(name: str) -> None:
    """Forget a connection and its secrets; datasets made from it stay."""
    from tunery.sdk.client import Client

    with Client() as client:
        client.connections.delete(name)
    answer({"name": name, "deleted": True}, lambda: say(f"{name} is deleted."))


@command.command("import")
@click.argument("connection")
@click.argument("path", default="")
@click.option("--name", required=True, help="The dataset's name; an existing dataset gets a new version.")
@click.option("--format", help="The files' format; detected from their content by default.")
@click.option("--accept-bad-rows", is_flag=True, help="Import the usable rows even if some rows are bad.")
@click.option("--draft", is_flag=True, help="Leave the version a draft; drafts can't be used for training.")
def import_(
    connection: str, path: str, name: str, format: str | None, accept_bad_rows: bool, draft: bool
) -> None:
    """Import the files in PATH of CONNECTION as a dataset, and wait for it.

    Where PATH has a sub-folder jsonl, the files in that are taken. One bad row stops the import.
    """
    from tunery.cli.reports import show_report
    from tunery.schemas.dataset import ImportOptions
    from tunery.sdk.client import Client

    options = ImportOptions(format=format, accept_bad_rows=accept_bad_rows, publish=not draft)
    with Client() as client:
        made = client.connections.import_files(connection, path, name=name, options=options)
        version = client.datasets.wait(made.name)

    def people() -> None:
        if version.report is not None:
            show_report(version.report, shown=_SHOWN)
        source = version.source or {}
        if source.get("passed_over_count"):
            names = ", ".join(source["passed_over"])
            note(f"Skipped, as they contain no rows ({source['passed_over_count']}): {names}")
        say(f"{version.dataset}@{version.version} is {version.state}: {version.rows:,} rows.")

    answer(version, people)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise click.UsageError("Write each setting as SETTING=VALUE.")
    return name.strip(), value.strip()


def _secret(info: "ExtensionInfo") -> dict[str, tuple[str, bool]]:
    """The secrets of a kind: what to call each, and whether it must be given."""
    schema = info.json_schema or {}
    return {
        field: (about.get("title", field), field in schema.get("required", []))
        for field, about in schema.get("properties", {}).items()
        if about.get("writeOnly") or any(one.get("writeOnly") for one in about.get("anyOf", []))
    }


def _asked(title: str, needed: bool) -> str:
    return click.prompt(title, hide_input=True, default=None if needed else "", show_default=False)


def _say_test(test: Any) -> None:
    if test.ok:
        say(test.found)
    else:
        say(f"The test failed: {test.problem.message} {test.problem.cure}")
