"""The command as a whole: help is quick, every command speaks JSON, errors are sentences."""

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.served import CLOSED, tunery
from tunery.cli.commands.point import COMMANDS
from tunery.cli.main import cli

HEAVY = ("torch", "transformers", "sqlalchemy", "pydantic", "httpx", "rich", "fastapi", "pyarrow")


def leaves(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from leaves(inner, (*path, name))
    else:
        yield path, command


EVERY = dict(leaves(cli))


def test_commands_promised_are_there() -> None:
    promised = {"chat", "data", "doctor", "methods", "models", "runs", "token", "train", "up"}
    assert promised <= set(COMMANDS.names())


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_has_json_and_help(path: tuple[str, ...]) -> None:
    command = EVERY[path]
    assert any("--json" in option.opts for option in command.params)
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def seconds(*command: str) -> float:
    """Of the processor: how busy the machine is otherwise doesn't matter."""
    taken: list[float] = []
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["runs", "create", "--help"]])
def test_help_is_quick(arguments: list[str]) -> None:
    bare = seconds(sys.executable, "-c", "pass")
    assert seconds(sys.executable, "-m", "tunery.cli", *arguments) < 0.4 + 10 * bare


def test_help_loads_nothing_heavy() -> None:
    program = f"""
import sys
from tunery.cli.main import cli
for path in {[list(path) for path in EVERY] + [[]]!r}:
    try:
        cli([*path, "--help"])
    except SystemExit as end:
        assert end.code == 0
    if not path:
        continue
print("loaded:", [name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded: []\n")


def test_group_help_loads_no_command() -> None:
    program = """
import sys
from tunery.cli.main import cli
try:
    cli(["--help"])
except SystemExit:
    pass
print("loaded:", [name for name in sys.modules if name.startswith("tunery.cli.commands.") and name[-5:] != "point"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded: []\n")
    for name in COMMANDS.names():
        line = next(line for line in done.stdout.splitlines() if line.split()[:1] == [name])
        assert len(line.split()) > 2


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    assert tunery(tmp_path, "nonsense").returncode == 2
    assert tunery(tmp_path, "train").returncode == 2
    assert tunery(tmp_path, "runs", "list", "--limit", "1000").returncode == 2
    assert tunery(tmp_path, "chat", "any", "--json").returncode == 2


def test_no_server_is_one_sentence_and_the_cure(tmp_path: Path) -> None:
    done = tunery(tmp_path, "runs", "list", TUNERY_URL=CLOSED)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"Error: No Tunery server answers at {CLOSED}.\nStart one with `tunery up`, or set TUNERY_URL.\n"
    )


def test_problem_as_json(tmp_path: Path) -> None:
    done = tunery(tmp_path, "runs", "show", "run_x", "--json", TUNERY_URL=CLOSED)
    assert done.returncode == 1
    problem = json.loads(done.stdout)["error"]
    assert problem["code"] == "no_server"
    assert problem["params"] == {"url": CLOSED}
    assert problem["message"] in done.stderr


def test_methods(tmp_path: Path) -> None:
    listed = json.loads(tunery(tmp_path, "methods", "list", "--json").stdout)
    assert {"sft", "pretrain"} <= {method["name"] for method in listed}
    shown = json.loads(tunery(tmp_path, "methods", "show", "sft", "--json").stdout)
    assert shown["json_schema"]["properties"]["learning_rate"]["range"] == [0.00001, 0.001]
    assert "learning_rate" in tunery(tmp_path, "methods", "show", "sft").stdout
    unknown = tunery(tmp_path, "methods", "show", "sfd")
    assert unknown.returncode == 1
    assert "Known: " in unknown.stderr


def test_doctor(tmp_path: Path) -> None:
    done = tunery(tmp_path, "doctor", "--json", TUNERY_URL=CLOSED)
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert findings["Python"]["verdict"] == "good"
    assert findings["Server"]["verdict"] == "notice"
    assert "tunery up" in findings["Server"]["cure"]
    assert {"Processor", "Memory", "Free disk", "Data folder", "Port", "Packages to train"} <= set(findings)
    assert not (tmp_path / "data").exists()
    (tmp_path / "data").write_text("a file stands here")
    assert tunery(tmp_path, "doctor", TUNERY_URL=CLOSED).returncode == 1
