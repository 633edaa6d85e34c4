"""Pages about what is declared in schemas: settings, run specification, errors, events, formats, metrics."""

import orjson
from pydantic import TypeAdapter

from tools.markdown import as_json, code, page, section, table
from tools.schema import about, bounds, default_of, documents, fields, type_of
from tunery.core.error_kinds import KINDS
from tunery.core.settings import ServerSettings
from tunery.data.formats.point import FORMATS
from tunery.methods.point import METHODS
from tunery.metrics.point import METRICS, Need
from tunery.schemas.check import CheckReport
from tunery.schemas.event import EVENT_TYPES
from tunery.schemas.project import ExtensionInfo
from tunery.schemas.run import RunSpec
from tunery.services.extensions import methods


def settings() -> str:
    """The settings of every training method."""
    return page(
        "Settings of training methods",
        "What may stand under `settings` in a run's specification, by method.",
        "“Range” is what a value is held to unless the specification says `allow_out_of_range: true`; "
        "“allowed” is what makes sense at all. A setting you leave out takes the recommended value "
        "(`preset: recommended`, the default) or the plain default (`preset: default`). A setting that has "
        "no effect in a run is refused.",
        *(_method(info) for info in methods()),
    )


def _method(info: ExtensionInfo) -> str:
    schema, recommended, method = info.json_schema or {}, info.recommended, METHODS.load(info.name)
    rows = [
        (
            code(setting),
            type_of(field),
            default_of(setting, schema),
            *(as_json(values[setting]) if setting in values else "" for values in recommended.values()),
            " … ".join(f"{bound:g}" for bound in field.get("range", ())),
            bounds(field),
            _help(field),
        )
        for setting, field in schema["properties"].items()
    ]
    kinds = [f"recommended, {kind}" for kind in recommended]
    takes = " and ".join(sorted(method.TAKES))
    return section(
        f"{method.TITLE} (`{info.name}`)",
        f"{method.HELP} Takes rows of kind: {takes}. Formats: {', '.join(info.takes)}.",
        table(["setting", "type", "default", *kinds, "range", "allowed", "meaning"], rows),
    )


def _help(field: dict[str, object]) -> str:
    only = field.get("only_with")
    text = str(field.get("description", ""))
    if not isinstance(only, dict):
        return text
    return f"{text} Only with {', '.join(f'{name} {_condition(value)}' for name, value in only.items())}."


def _condition(value: object) -> str:
    return "above 0" if value == "above 0" else f"= {value}"


def run_spec() -> str:
    """The document that defines a run."""
    found = list(documents(RunSpec.model_json_schema()))
    return page(
        "Run specification",
        "One document defines a run; console, YAML, REST, SDK and CLI all produce it.",
        "Short forms: `data: NAME` and `data: [NAME, …]` stand for `data: {train: [{dataset: NAME}, …]}`. "
        "The settings of each method are in [settings](settings.md).",
        *(section(name, about(schema), fields(schema)) for name, schema in found),
    )


def server_settings() -> str:
    """What an administrator can set."""
    schema = ServerSettings.model_json_schema()
    rows = [
        (
            code(f"TUNERY_{name.upper()}"),
            type_of(field),
            default_of(name, schema),
            bounds(field),
            field["description"],
        )
        for name, field in schema["properties"].items()
    ]
    return page(
        "Server settings",
        "Environment variables of `tunery up`; its options come before them. Lists are written as JSON.",
        table(["variable", "type", "default", "allowed", "meaning"], rows),
        section(
            "The client",
            "SDK and CLI read `TUNERY_URL` and `TUNERY_TOKEN`. Without them they use the file that `tunery "
            "up` leaves for its user, `~/.config/tunery/client.json` (another place: `TUNERY_CONFIG`), else "
            "`http://127.0.0.1:8420`.",
        ),
    )


def errors() -> str:
    """Every error a user can cause."""
    rows = [
        (
            code(name),
            kind.status,
            kind.says,
            f"{kind.cure} {kind.cli and f'(Command line: {kind.cli})'}".strip(),
        )
        for name, kind in sorted(KINDS.items())
    ]
    return page(
        "Errors",
        "Every error with its code, its HTTP status, what it says and what to do about it.",
        "REST answers with `{code, message, cure, params, where, errors}`, `errors` naming each single thing "
        "that is wrong in the same words; `/v1` with OpenAI's `{error: {message, "
        "type, code, param}}`; the CLI prints message and cure and ends with exit code 1. Names in braces "
        "are filled in.",
        table(["code", "status", "says", "cure"], rows),
    )


def events() -> str:
    """What a run's event stream holds."""
    common: dict[str, object] = {}
    parts: list[str] = []
    for event in EVENT_TYPES:
        schema = event.model_json_schema()
        own = {name for name in event.__annotations__ if name != "type"}
        kind = schema["properties"]["type"]["default"]
        common = {
            **schema,
            "properties": {n: f for n, f in schema["properties"].items() if n not in {*own, "type"}},
        }
        mine = {**schema, "properties": {n: f for n, f in schema["properties"].items() if n in own}}
        parts.append(section(code(kind), about(schema), fields(mine)))
    return page(
        "Events",
        "The lines of a run's `events.jsonl`, and the bodies of its event stream.",
        "Additive only: a reader keeps types and fields it doesn't know. Over HTTP (`GET "
        "/api/v1/runs/{run}/stream`) each has a run-wide `id` as well, and a last event `end` says that the "
        "run has ended.",
        section("In every event", fields(common)),
        *parts,
    )


def data_formats() -> str:
    """Formats of rows."""
    parts = [
        section(
            f"{found.TITLE} (`{name}`)",
            f"{found.HELP} Becomes rows of kind: {found.ROW_KIND}.",
            f"```json\n{_pretty(found.EXAMPLE)}\n```",
        )
        for name, found in FORMATS.all()
    ]
    report = TypeAdapter(CheckReport).json_schema()
    return page(
        "Data formats",
        "What the records of a file may look like. The format is recognised by content unless you name it.",
        "A file is a JSON array (`.json`), JSON lines (`.jsonl`) or plain text (`.txt`). Every row is read "
        "and judged: rows read = rows accepted + rows rejected.",
        *parts,
        section("The report of a check", about(report), fields(report)),
        section("A bad row", about(report["$defs"]["RowProblem"]), fields(report["$defs"]["RowProblem"])),
    )


def _pretty(example: str) -> str:
    return orjson.dumps(orjson.loads(example), option=orjson.OPT_INDENT_2).decode()


_LOOKS_AT: dict[Need, str] = {
    "generated": "the generated answer",
    "nll": "the expected answer's likelihood",
    "preference": "which of a row's answers the model prefers",
}


def metrics() -> str:
    """What answers are measured by."""
    rows = [
        (
            code(name),
            found.TITLE,
            "higher" if found.HIGHER_IS_BETTER else "lower",
            _LOOKS_AT[found.NEEDS],
            found.HELP,
        )
        for name, found in METRICS.all()
    ]
    return page(
        "Metrics",
        "What an evaluation measures on held-out rows, for the base model and the tuned one.",
        table(["name", "title", "better", "looks at", "meaning"], rows),
        "A report shows the mean over the rows with a 95 % bootstrap interval.",
    )
