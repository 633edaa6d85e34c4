"""A package installed beside Tunery, one module and one entry-point line each, adds a format, a method and a metric."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.patience import PATIENCE

PLUGIN = Path(__file__).parent / "tunery_sample_plugin"
ROOT = Path(__file__).resolve().parent.parent.parent
ROWS = "".join(
    orjson.dumps({"question": f"What is {n} plus one?", "answer": f"{n + 1}."}).decode() + "\n"
    for n in range(120)
)

_SERVER = """
import json, sys
from pathlib import Path
from starlette.testclient import TestClient
from tests.patience import PATIENCE
from tunery.core.settings import ServerSettings
from tunery.db.engine import writing
from tunery.server.app import create_app
from tunery.services.tokens import first_start

app = create_app(ServerSettings(data=Path(sys.argv[1])), work=False)
with writing(app.state.tunery.engine) as connection:
    _, token = first_start(connection)
with TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {token}"}) as client:
    seen = {name: client.get(f"/api/v1/{name}").json() for name in ("methods", "formats", "metrics")}
    client.post("/login", data={"token": token}, headers={"Origin": "http://127.0.0.1"}, follow_redirects=False)
    seen["form"] = client.get("/runs/new").text
    seen["upload"] = client.get("/datasets/new").text
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has the package, put there by pip without any network."""
    source = tmp_path_factory.mktemp("source") / PLUGIN.name
    shutil.copytree(PLUGIN, source, ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    _done(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)],
        dict(os.environ),
    )
    return {**os.environ, "PYTHONPATH": str(target)}


def _done(command: list[str], environment: dict[str, str]) -> bytes:
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _tunery(environment: dict[str, str], *words: str) -> Any:
    command = [sys.executable, "-c", "from tunery.cli.main import main; main()", *words, "--json"]
    return orjson.loads(_done(command, environment))


@pytest.fixture(scope="module")
def seen(installed: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a server with the package shows."""
    folder = tmp_path_factory.mktemp("server") / "data"
    return orjson.loads(_done([sys.executable, "-c", _SERVER, str(folder)], installed))


def test_rest_lists_all_three(seen: dict[str, Any]) -> None:
    methods = {info["name"]: info for info in seen["methods"]}
    assert "questions" in methods["last_answers"]["takes"], "the new method takes the new format"
    assert "questions" in methods["sft"]["takes"], "so do the built-in ones that take its kind of row"
    setting = methods["last_answers"]["json_schema"]["properties"]["answers_learnt"]
    assert (setting["default"], setting["range"]) == (1, [1, 10])
    assert "questions" in {info["name"] for info in seen["formats"]}
    assert "first_word" in {info["name"] for info in seen["metrics"]}


def test_the_console_offers_all_three(seen: dict[str, Any]) -> None:
    assert 'value="last_answers"' in seen["form"]
    assert "answers_learnt" in seen["form"], "the form has the new method's setting"
    assert 'value="first_word"' in seen["form"]
    assert 'value="questions"' in seen["upload"]


def test_the_command_line_knows_all_three(installed: dict[str, str]) -> None:
    assert "last_answers" in {info["name"] for info in _tunery(installed, "methods", "list")}
    shown = _tunery(installed, "methods", "show", "last_answers")
    assert "answers_learnt" in shown["json_schema"]["properties"]


def test_a_file_in_the_format_is_imported(installed: dict[str, str], tmp_path: Path) -> None:
    """By a whole server: the worker it keeps has the package too."""
    (tmp_path / "rows.jsonl").write_text(ROWS)
    client = {**installed, "TUNERY_CONFIG": str(tmp_path / "client.json")}
    up = (
        "from tunery.cli.main import main; main()",
        "up",
        "--port",
        "0",
        "--data",
        str(tmp_path / "data"),
        "--json",
    )
    with (tmp_path / "up.log").open("wb") as log:
        server = subprocess.Popen([sys.executable, "-c", *up], env=client, stdout=subprocess.PIPE, stderr=log)
    try:
        assert server.stdout is not None
        assert server.stdout.readline(), (tmp_path / "up.log").read_text()
        version = _tunery(client, "data", "import", str(tmp_path / "rows.jsonl"), "--name", "sums")
        assert (version["format"], version["rows"], version["state"]) == ("questions", 120, "published")
        shown = _tunery(client, "data", "show", "sums", "--rows", "1")
        assert b"What is 0 plus one?" in orjson.dumps(shown)
    finally:
        server.terminate()
        server.communicate(timeout=PATIENCE)


def test_the_reference_describes_all_three(installed: dict[str, str], tmp_path: Path) -> None:
    _done([sys.executable, "-m", "tools.reference", "--out", str(tmp_path)], installed)
    assert "| `answers_learnt` |" in (tmp_path / "settings.md").read_text()
    assert "## Questions (`questions`)" in (tmp_path / "data-formats.md").read_text()
    assert "| `first_word` |" in (tmp_path / "metrics.md").read_text()


def test_without_the_package_none_is_there() -> None:
    assert "last_answers" not in {info["name"] for info in _tunery(dict(os.environ), "methods", "list")}
