"""The shape of the code, held by reading it and by starting what must start alone."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.postgres import new_database
from tunery.core.settings import ServerSettings
from tunery.db.engine import open_database, reading
from tunery.db.tables import METADATA

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "tunery"
LONGEST = 600

MODULES = sorted(SOURCE.rglob("*.py"))
OURS = [*MODULES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "tools").rglob("*.py"))]


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), str(path))


def _docstrings(tree: ast.Module) -> set[int]:
    """The nodes that are docstrings, of attributes too: a string that stands alone as a statement."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def _strings(path: Path) -> Iterator[tuple[int, str]]:
    """Every string in the code, with its line; docstrings aside."""
    tree = _tree(path)
    apart = _docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in apart:
            yield node.lineno, node.value


# -- files


def test_no_file_is_too_long_to_read() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_bytes().splitlines()) for path in OURS}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_every_module_says_what_it_is() -> None:
    """The first sentence stands in the README's tree; a command's first line in `tunery --help`."""
    assert [str(path.relative_to(ROOT)) for path in MODULES if not ast.get_docstring(_tree(path))] == []


def test_packages_hold_nothing_but_a_docstring() -> None:
    """Importing one module must not bring its siblings, and what they need, along."""
    found = {
        str(path.relative_to(SOURCE)): [ast.unparse(node).partition(" =")[0] for node in _tree(path).body[1:]]
        for path in MODULES
        if path.name == "__init__.py"
    }
    assert {name: held for name, held in found.items() if held} == {"__init__.py": ["__version__"]}


# -- names that are spelled in one place


FOLDER_NAMES = {
    "spec.yaml", "attempt.json", "control.json", "process.json", "events.jsonl", "log.txt", "checkpoints",
    "rows.jsonl", "result.json",
}  # fmt: skip
ATTEMPT = SOURCE / "core" / "attempt.py"


def test_the_names_of_an_attempt_folder_are_spelled_in_one_module() -> None:
    """`checkpoints` alone is also a word of the API, so it counts only where it makes a path."""
    spelled = {text for _, text in _strings(ATTEMPT)}
    assert spelled >= FOLDER_NAMES, "attempt.py has other names now; correct the list here"
    found = [
        f"{path.relative_to(ROOT)}:{line} {text}"
        for path in MODULES
        if path != ATTEMPT
        for line, text in _strings(path)
        if text in FOLDER_NAMES - {"checkpoints"}
    ]
    found += [
        f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for path in MODULES
        if path != ATTEMPT
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        if isinstance(node.right, ast.Constant) and node.right.value in FOLDER_NAMES
    ]
    assert found == []


# -- what no code here does


def _calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call))


def test_no_shell_ever_sees_a_string() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno} {ast.unparse(call.func)}"
        for path in OURS
        for call in _calls(path)
        if ast.unparse(call.func)
        in ("os.system", "os.popen", "subprocess.getoutput", "asyncio.create_subprocess_shell")
        or any(word.arg == "shell" for word in call.keywords)
    ]
    assert found == []


def test_nothing_is_unpickled() -> None:
    """A pickle runs code when it is opened; weights come as safetensors, documents as JSON and YAML."""
    imports = {
        (str(path.relative_to(ROOT)), name)
        for path in MODULES
        for node in ast.walk(_tree(path))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if name.partition(".")[0] in {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    }
    calls = {
        (str(path.relative_to(ROOT)), ast.unparse(call.func))
        for path in MODULES
        for call in _calls(path)
        if ast.unparse(call.func) in {"torch.load", "torch.save", "yaml.load", "eval", "exec"}
    }
    assert imports | calls == set()


def test_transactions_end_in_one_module() -> None:
    """Use cases never commit: whoever opens a transaction (`reading`, `writing`) ends it."""
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in MODULES
        if path != SOURCE / "db" / "engine.py"
        for call in _calls(path)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "commit"
    ]
    assert found == []


# -- the database


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_migrations_make_the_tables_that_the_code_declares(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    url = "" if database == "sqlite" else new_database(request.getfixturevalue("postgres"))
    engine = open_database(ServerSettings(data=tmp_path, database_url=url))
    try:
        with reading(engine) as connection:
            context = MigrationContext.configure(connection, opts={"compare_server_default": True})
            assert compare_metadata(context, METADATA) == []
    finally:
        engine.dispose()


# -- what must start where training isn't installed

_WITHOUT_TORCH = '''
import sys

class Absent:
    """Finds nothing where torch and its like would be, as on a machine that lacks them."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "peft", "accelerate", "safetensors"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
'''


def _run_without_torch(code: str, *arguments: str) -> str:
    """What a program prints that can't import torch."""
    command = [sys.executable, "-W", "error", "-c", _WITHOUT_TORCH + code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_blocker_blocks() -> None:
    code = "try:\n    import torch\nexcept ModuleNotFoundError:\n    print('absent')"
    assert _run_without_torch(code) == "absent\n"


def test_server_and_console_start_without_torch(tmp_path: Path) -> None:
    """The whole application answers: health, the forms' schemas, the API's own description, the sign-in page."""
    code = """
from pathlib import Path
from starlette.testclient import TestClient
from tests.postgres import new_database
from tunery.core.settings import ServerSettings
from tunery.db.engine import writing
from tunery.server.app import create_app
from tunery.services.tokens import first_start

app = create_app(ServerSettings(data=Path(sys.argv[1])), work=False)
with writing(app.state.tunery.engine) as connection:
    _, token = first_start(connection)
with TestClient(app, base_url="http://127.0.0.1") as client:
    signed = {"Authorization": f"Bearer {token}"}
    for path in ("/api/v1/health", "/login", "/api/v1/methods", "/api/openapi.json", "/v1/models"):
        answer = client.get(path, headers=signed if path != "/login" else {})
        assert answer.status_code == 200, (path, answer.text)
    client.post("/login", data={"token": token}, headers={"Origin": "http://127.0.0.1"}, follow_redirects=False)
    for path in ("/", "/datasets", "/runs", "/runs/new", "/models"):
        answer = client.get(path)
        assert answer.status_code == 200 and "Tunery" in answer.text, (path, answer.status_code, answer.text)
assert "torch" not in sys.modules
print("answered")
"""
    assert _run_without_torch(code, str(tmp_path / "data")) == "answered\n"


def test_the_worker_starts_without_torch() -> None:
    code = """
import tunery.jobs.__main__
from tunery.jobs.handlers.point import HANDLERS
print(len(dict(HANDLERS.all())))
"""
    assert int(_run_without_torch(code)) >= 4


@pytest.mark.parametrize(
    "arguments", [["--help"], ["methods", "list"], ["doctor", "--help"], ["train", "--help"]]
)
def test_the_command_line_starts_without_torch(arguments: list[str]) -> None:
    code = "sys.argv[0] = 'tunery'\nfrom tunery.cli.main import main\nmain()"
    assert _run_without_torch(code, *arguments)
