"""Ready-made datasets: those that ship, and those that an administrator offers."""

import json
from pathlib import Path

import pytest
import yaml

from tests.served import Done, Served, server
from tunery.core.errors import Problem
from tunery.core.folder import DataFolder
from tunery.core.settings import ServerSettings
from tunery.data.formats.point import FORMATS
from tunery.db.engine import open_database, writing
from tunery.schemas.preset_data import PresetCatalogue
from tunery.sdk.client import Client
from tunery.server.folder import prepare_folder
from tunery.services import preset_data
from tunery.starter import presets

SHIPPED = ["support-messages", "support-messages-held-out", "general-questions"]
OURS = {
    "name": "house-style",
    "title": "House style",
    "licence": "ours",
    "file": "rows/house.jsonl",
    "columns": {"prompt": "q", "completion": "a"},
    "format": "prompt_completion",
}


def offer(folder: Path, *entries: object) -> None:
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    (folder / "presets.yaml").write_text(yaml.safe_dump({"presets": list(entries)}))
    rows = [{"q": f"Say {n}.", "a": f"{n}, with pleasure."} for n in range(30)]
    (folder / "rows" / "house.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def command(served: Served, *arguments: str) -> Done:
    return served.tunery("data", *arguments, "--json")


def test_what_ships_says_whose_it_is_and_is_always_the_same(tmp_path: Path) -> None:
    listed = PresetCatalogue.model_validate(yaml.safe_load(presets.CATALOGUE.read_text())).presets
    assert [entry.name for entry in listed] == SHIPPED
    for entry in listed:
        assert entry.made_by in presets.GENERATORS
        assert entry.licence == "Apache-2.0"
        assert entry.format in FORMATS.names()
    for file in ("one", "two"):
        presets.write("general", tmp_path / file)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_its_file_is_made_while_others_write_and_goes_where_no_import_takes_it(tmp_path: Path) -> None:
    settings = ServerSettings(data=tmp_path / "data")
    folder = DataFolder(settings.folder)
    prepare_folder(folder)
    # Whoever makes the file has no transaction of its own: it would wait for this one.
    with writing(open_database(settings)), preset_data.taken(settings, "general-questions") as taken:
        assert len(taken.file.read_text().splitlines()) == 2000
    assert list(folder.uploads.iterdir()) == []


def test_one_is_imported_as_any_file_is(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    offer(shelf, OURS, {"name": "outside", "file": "../secret.jsonl"}, {"name": "gone", "file": "gone.jsonl"})
    with (
        server(tmp_path, TUNERY_PRESET_DATA=str(shelf)) as served,
        Client(served.url, served.token) as client,
    ):
        offered = json.loads(command(served, "presets").stdout)
        assert [one["name"] for one in offered] == ["house-style", "outside", "gone", *SHIPPED]
        assert [one["shipped"] for one in offered] == [False] * 3 + [True] * 3
        done = command(served, "import-preset", "support-messages-held-out")
        assert done.returncode == 0, done
        imported = json.loads(done.stdout)
        assert (imported["rows"], imported["state"], imported["format"]) == (400, "published", "alpaca")
        assert imported["report"]["rows_rejected"] == 0
        client.datasets.import_preset("general-questions")
        assert client.datasets.wait("general-questions", timeout=60).rows == 2000
        # The administrator's entry says how its columns are called, and its file stays where it is.
        client.datasets.import_preset("house-style", name="ours")
        assert client.datasets.wait("ours", timeout=60).rows == 30
        assert (shelf / "rows" / "house.jsonl").is_file()
        with pytest.raises(Problem, match="has to lie in the folder"):
            client.datasets.import_preset("outside")
        with pytest.raises(Problem, match=r"There is no file .*gone\.jsonl"):
            client.datasets.import_preset("gone")
        with pytest.raises(Problem, match="no ready-made dataset “nonesuch”"):
            client.datasets.import_preset("nonesuch")
        # Theirs counts where both have a name; a list that is wrong is named with its place.
        offer(shelf, {**OURS, "name": "support-messages"})
        assert [one.shipped for one in client.datasets.presets()] == [False, True, True]
        offer(shelf, {"name": "no file"})
        with pytest.raises(Problem, match=r"presets\.yaml can't be used: presets\.0"):
            client.datasets.presets()
