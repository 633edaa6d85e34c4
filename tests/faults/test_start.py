"""A server that can't work with its folder says why and doesn't start; when that is mended, it does, and runs go on."""

import json

import pytest

from tests.faults.damage import damaged
from tests.faults.mount import read_only
from tests.faults.scene import Scene, whole
from tests.served import Done, tunery

pytestmark = pytest.mark.e2e
STEPS = 60


def start(scene: Scene) -> tuple[Done, dict[str, str]]:
    done = tunery(scene.folder, "up", "--port", "0", "--json")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done, json.loads(done.stdout)["error"]


def test_on_a_damaged_database_and_in_a_folder_that_cant_be_written(scene: Scene) -> None:
    client = scene.up()
    scene.with_rows(client)
    run = scene.begin(client, STEPS)
    scene.reach(client, run, 7)
    scene.kill()
    with damaged(scene, "event"):
        _, error = start(scene)
        assert error["code"] == "database_damaged"
        assert "tunery restore" in error["cure"]
    with read_only(scene.data):
        _, error = start(scene)
        assert (error["code"], "Read-only file system" in error["message"]) == ("data_folder_unusable", True)
    client = scene.up()
    whole(client, run, STEPS)
