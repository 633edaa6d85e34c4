"""Documentation that can be wrong is generated and compared, or run. `tests/pages.py` says how blocks are marked."""

import ast
import os
import re
import shlex
import string
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import click
import orjson
import pytest

from tests.pages import ROOT, Block, blocks, links
from tests.patience import PATIENCE
from tools import extensions, reference
from tunery.cli.main import cli
from tunery.core.error_kinds import KINDS
from tunery.core.settings import ServerSettings
from tunery.methods.point import METHODS
from tunery.schemas.event import EVENT_TYPES
from tunery.sdk.client import Client

SOURCE = ROOT / "src" / "tunery"
WRITTEN = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
WRITTEN += sorted((ROOT / "docs" / "guides").glob("*.md")) + sorted(
    (ROOT / "docs" / "decisions").glob("*.md")
)
RUNNABLE = [page for page in WRITTEN if any(block.run for block in blocks(page))]


def _page(name: str) -> str:
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


# -- the reference


def test_the_reference_and_the_tree_are_those_of_the_code() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.reference", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


def test_a_stale_page_is_noticed() -> None:
    wanted = reference.outputs()
    assert reference.stale({**wanted, reference.REFERENCE / "errors.md": "old"}) == [
        "docs/reference/errors.md"
    ]
    del wanted[reference.REFERENCE / "events.md"]
    assert reference.stale(wanted) == ["docs/reference/events.md"]


def test_everything_is_in_the_reference() -> None:
    settings = {f"`TUNERY_{name.upper()}`" for name in ServerSettings.model_fields}
    assert {name for name in settings if name not in _page("server-settings.md")} == set()
    events = {f"## `{event.model_fields['type'].default}`" for event in EVENT_TYPES}
    assert {name for name in events if name not in _page("events.md")} == set()
    assert {code for code in KINDS if f"| `{code}` |" not in _page("errors.md")} == set()
    points = {point.package for _, point in extensions.points()}
    assert {name for name in points if f"(`{name}`)" not in _page("extension-points.md")} == set()
    fields = {field for _, method in METHODS.all() for field in method.Settings.model_fields}
    assert {field for field in fields if f"| `{field}` |" not in _page("settings.md")} == set()


def test_every_module_that_declares_a_point_is_found() -> None:
    """A point is told by its two arguments and its version, wherever it is declared."""
    declared = {
        str(path.relative_to(SOURCE.parent).with_suffix("")).replace("/", ".")
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and any(word.arg == "api_version" for word in node.keywords)
    }
    assert {module.__name__ for module, _ in extensions.points()} == declared


def test_every_address_under_api_and_v1_is_described() -> None:
    described = orjson.loads(_page("openapi.json"))["paths"]
    served = {(verb.upper(), path) for path, verbs in described.items() for verb in verbs}
    served |= {("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("POST", "/api/v1/runs")}
    assert {one for one in served if f"| {one[0]} | `{one[1]}` |" not in _page("rest.md")} == set()


# -- errors


def _problems() -> Iterator[tuple[str, ast.Call]]:
    """Every `Problem("code", …)` in the code, with its place."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Problem" and node.args:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_every_problem_is_on_the_list_and_fills_its_sentences() -> None:
    faults: list[str] = []
    for place, call in _problems():
        code = call.args[0]
        if not isinstance(code, ast.Constant):
            continue
        if code.value not in KINDS:
            faults.append(f"{place} {code.value} is not on the list")
            continue
        kind = KINDS[code.value]
        needed = {
            name
            for text in (kind.says, kind.cure, kind.cli)
            for _, name, _, _ in string.Formatter().parse(text)
            if name
        }
        given = {word.arg for word in call.keywords}
        if None not in given and needed - given:
            faults.append(f"{place} {code.value} lacks {', '.join(sorted(needed - given))}")
    assert faults == []


def test_every_error_on_the_list_is_used() -> None:
    named = {
        node.value
        for path in SOURCE.rglob("*.py")
        if path != SOURCE / "core" / "errors.py"
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert sorted(set(KINDS) - named) == []


# -- what people wrote


@pytest.mark.parametrize("page", WRITTEN, ids=[str(page.relative_to(ROOT)) for page in WRITTEN])
def test_links_lead_somewhere(page: Path) -> None:
    inside = [
        link.partition("#")[0] for link in links(page) if not link.startswith(("http://", "https://", "#"))
    ]
    assert [link for link in inside if not (page.parent / link).exists()] == []


def test_files_that_pages_name_are_there() -> None:
    named = {
        (page.name, path)
        for page in WRITTEN
        for path in re.findall(r"`((?:tests|src|docs|tools)/[\w./-]+)`", page.read_text(encoding="utf-8"))
    }
    shown_only = {"src/tunery/data/formats/questions.py", "src/tunery/methods/last_answers.py"}
    shown_only |= {"src/tunery/metrics/first_word.py"}
    assert {one for one in named if one[1] not in shown_only and not (ROOT / one[1]).exists()} == set()


def test_every_variable_that_pages_name_exists() -> None:
    texts = [path.read_text(encoding="utf-8") for path in [*SOURCE.rglob("*.py"), ROOT / "Makefile"]]
    texts += [
        path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)
    ]
    known = {name for text in texts for name in re.findall(r"TUNERY_[A-Z_]*[A-Z]", text)}
    known |= {f"TUNERY_{name.upper()}" for name in ServerSettings.model_fields}
    named = {
        name
        for page in WRITTEN
        for name in re.findall(r"TUNERY_[A-Z_]*[A-Z]", page.read_text(encoding="utf-8"))
    }
    assert sorted(named - known) == []


def _commands() -> Iterator[tuple[str, list[str]]]:
    """The words of every call of `tunery` in the pages' bash blocks, each with its place."""
    for page in WRITTEN:
        for block in blocks(page):
            if block.language == "bash":
                for line in block.text.replace("\\\n", " ").splitlines():
                    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
                    lexer.whitespace_split = True
                    for apart, words in groupby(lexer, lambda word: set(word) <= set("();<>|&")):
                        call = list(words)
                        if not apart and call[0] == "tunery":
                            yield f"{page.relative_to(ROOT)}:{block.line}", call


def test_commands_that_pages_show_exist() -> None:
    faults = [
        f"{place} {' '.join(words)}: {fault}" for place, words in _commands() if (fault := _fault(words[1:]))
    ]
    assert faults == []
    assert _fault(["runs", "vanish"]) == "no command vanish"
    assert _fault(["runs", "list", "--colour"]) == "no option --colour"


def _fault(words: list[str]) -> str | None:
    """What is wrong with a call of the command line; None if nothing is."""
    command, context = cli, click.Context(cli)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        inner = command.get_command(context, name)
        if inner is None:
            return f"no command {name}"
        command = inner
    known = {option for param in command.get_params(context) for option in param.opts}
    return next(
        (f"no option {w}" for w in words if w.startswith("-") and w.partition("=")[0] not in known), None
    )


@pytest.mark.parametrize("page", WRITTEN, ids=[str(page.relative_to(ROOT)) for page in WRITTEN])
def test_files_that_pages_quote_are_as_quoted(page: Path) -> None:
    for block in blocks(page):
        source = block.named("source")
        if source is not None:
            assert block.text == (ROOT / source).read_text(encoding="utf-8"), source


# -- running them


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server as `tunery up` runs it; gives the environment that a reader at its machine has."""
    folder = tmp_path_factory.mktemp("server")
    environment = {
        **os.environ,
        "TUNERY_CONFIG": str(folder / "client.json"),
        "TUNERY_DATA": str(folder / "data"),
    }
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    command = ["tunery", "up", "--port", "0", "--json"]
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        said = _first_document(process.stdout)
        yield {**environment, "TUNERY_URL": said["url"], "TUNERY_TOKEN": said["token"]}
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def _first_document(stream: Any) -> dict[str, Any]:
    text = b""
    for line in stream:
        text += line
        if line.rstrip() == b"}":
            return orjson.loads(text)
    raise AssertionError(f"the server said only {text!r}")


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=[str(page.relative_to(ROOT)) for page in RUNNABLE])
def test_pages_run(page: Path, server: dict[str, str], tmp_path: Path) -> None:
    for block in blocks(page):
        name = block.named("file")
        if name is not None:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(block.text, encoding="utf-8")
        if block.run:
            _run(page, block, tmp_path, server)
    if page.name == "README.md":
        _readme_holds_true(server)


def _readme_holds_true(environment: dict[str, str]) -> None:
    """The page says how well its example does."""
    with Client(environment["TUNERY_URL"], environment["TUNERY_TOKEN"]) as client:
        run = client.runs.get("orders")
        evaluation = client.evaluations.get(run.evaluation or "")
        told = [event.body for event in client.runs.events(run.id) if event.type == "progress"]
    assert ("tuned model answers", 60, 60) in [(one["stage"], one["done"], one["total"]) for one in told]
    assert evaluation.base["exact_match"].mean < 0.05
    assert evaluation.tuned["exact_match"].mean > 0.85


def _run(page: Path, block: Block, folder: Path, environment: dict[str, str]) -> None:
    command = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}[block.language]
    done = subprocess.run([*command, block.text], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{page.name}, line {block.line}:\n{done.stdout}\n{done.stderr}"
