"""A browser and a real server. A page remembers every console error and every breach of the content policy."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.hold import Hold
from tests.patience import PATIENCE
from tests.served import Served, environment, server
from tunery.sdk.client import Client

WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
_PLACES = ("/usr/bin/chromium", "/usr/lib/chromium/chromium", "/usr/bin/google-chrome")
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
)
_WATCH = """addEventListener("securitypolicyviolation", (event) =>
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`))"""


@dataclass
class Window:
    """One tab, signed in, and what went wrong in it."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()
    """Parts of messages that the test itself causes."""

    def open(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def heard(self, message: ConsoleMessage) -> None:
        said = f"{self.page.url}: {message.text} {message.location.get('url', '')}"
        if message.type in ("error", "warning") and not any(part in said for part in self.expected):
            self.errors.append(said)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    place = os.environ.get("TUNERY_TEST_CHROMIUM") or next((p for p in _PLACES if Path(p).exists()), None)
    if place is None:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say("there is no Chromium here; install it or set TUNERY_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=place, args=list(_QUIET), timeout=PATIENCE * 1000)
        expect.set_options(timeout=PATIENCE * 1000)
        yield found
        found.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with the fake engine, shared by the tests that don't mind each other."""
    with server(tmp_path_factory.mktemp("console")) as found:
        yield found


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.token) as found:
        yield found


@pytest.fixture
def hold(served: Served) -> Iterator[Hold]:
    """Holds the engines of the shared server, as long as the test is on."""
    yield served.hold
    served.hold.release()


def sign_in(page: Page, url: str, token: str) -> None:
    page.goto(f"{url}/login")
    page.fill("#token", token)
    page.click("button[type=submit]")
    page.wait_for_url(f"{url}/")


Open = Callable[..., Window]


@pytest.fixture
def window(browser: Browser, served: Served) -> Iterator[Open]:
    """Open a signed-in tab; at the end of the test nothing may have gone wrong in any."""
    contexts: list[BrowserContext] = []
    windows: list[Window] = []

    def make(
        at: Served = served,
        *,
        size: dict[str, int] = WIDE,
        dark: bool = False,
        expected: tuple[str, ...] = (),
    ) -> Window:
        context = browser.new_context(
            viewport=size,  # pyright: ignore[reportArgumentType]
            color_scheme="dark" if dark else "light",
            locale="en-GB",
        )
        context.add_init_script(_WATCH)
        context.set_default_timeout(PATIENCE * 1000)
        contexts.append(context)
        page = context.new_page()
        made = Window(page, at.url, expected=expected)
        page.on("console", made.heard)
        page.on("pageerror", lambda error: made.errors.append(f"{page.url}: {error}"))
        windows.append(made)
        sign_in(page, at.url, at.token)
        return made

    yield make
    for context in contexts:
        context.close()
    assert [error for one in windows for error in one.errors] == []


@pytest.fixture(scope="module")
def colours(client: Client, served: Served) -> str:
    """A published dataset of 200 conversations."""
    return add_rows(client, served.folder, "colours", 200)


def add_rows(client: Client, folder: Path, name: str, count: int, extra: tuple[str, ...] = ()) -> str:
    """Import a dataset of little conversations, and lines as they are."""
    rows = [
        json.dumps(
            {
                "messages": [
                    {"role": "user", "content": f"What is {n} and one?"},
                    {"role": "assistant", "content": f"It is {n + 1}."},
                ]
            }
        )
        for n in range(count)
    ]
    path = folder / f"{name}.jsonl"
    path.write_text("\n".join([*rows, *extra]) + "\n", encoding="utf-8")
    client.datasets.create(str(path), name=name, accept_bad_rows=True, publish=True)
    client.datasets.wait(name, timeout=PATIENCE)
    return name


def start_run(client: Client, data: Any, name: str, steps: int, **settings: Any) -> str:
    """Queue a run of so many steps of the fake engine; a step takes 20 ms."""
    spec = {
        "name": name,
        "base_model": "tunery-starter",
        "data": data,
        "settings": {"max_steps": steps, "finetuning_type": "full", **settings},
    }
    return client.runs.create(spec).id


def start_again(served: Served) -> "subprocess.Popen[str]":
    """The same server once more: same folder, same port."""
    port = served.url.rpartition(":")[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "tunery.cli", "up", "--port", port, "--json"],
        cwd=served.folder,
        env=environment(served.folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    while not said.endswith("}\n"):
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        said += line
    return process
