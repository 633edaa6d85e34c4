"""A recipe through the front door: previewed, run on the server and without one, the same rows byte for byte."""

import json
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE
from tests.recipes.rows import as_local, question, rows_in, spec, write
from tests.served import Served, server
from tunery.core.attempt import run_data_folder
from tunery.core.errors import Problem
from tunery.data.laid_out import TRAIN, VALIDATION, read_report
from tunery.data.rows import Conversation, encode_row
from tunery.sdk.client import Client

names = count()
RECIPES: dict[str, dict[str, Any]] = {
    "rates": spec([{"dataset": "large", "sampling_rate": 0.25}, {"dataset": "small", "sampling_rate": 2.5}]),
    "shares": spec([{"dataset": "large", "share": 40}, {"dataset": "small", "share": 60}]),
    "one share": spec([{"dataset": "large"}, {"dataset": "small", "share": 50}]),
    "general corpus": spec([{"dataset": "large"}], data={"mix": "1:5", "seed": 3}),
    "split": spec(
        [{"dataset": "large"}, {"dataset": "small", "sampling_rate": 3}],
        settings={"validation_split_ratio": 0.2, "train_data_split_seed": 5, "max_train_samples": 90},
    ),
    "named test set": spec([{"dataset": "large"}], data={"validation": {"dataset": "exam"}}),
    "several turns": spec([{"dataset": "large"}], settings={"pseudo_multi_turn_probability": 0.6}),
    "plain text": spec([{"dataset": "prose", "sampling_rate": 1.5}], data={"mix": True}, method="pretrain"),
}


def on_server(client: Client, served: Served, given: dict[str, Any]) -> tuple[Path, str]:
    """The folder of the run's rows, and the run's id."""
    given = {
        **given,
        "name": f"recipe-{next(names)}",
        "settings": {"max_steps": 1, **given.get("settings", {})},
    }
    run = client.runs.create(given)
    client.runs.wait(run.id, timeout=PATIENCE, poll=0.1)
    return run_data_folder(served.folder / "data", run.id), run.id


@pytest.mark.parametrize("case", RECIPES)
def test_the_same_recipe_gives_the_same_rows_everywhere(
    desk: Path, client: Client, served: Served, case: str, tmp_path: Path
) -> None:
    given = RECIPES[case]
    there, run = on_server(client, served, given)
    file = as_local({**given, "settings": {"max_steps": 1, **given.get("settings", {})}}, desk / "run.yaml")
    done = served.tunery("train", file, "--out", tmp_path / "here")
    assert done.returncode == 0, done.stderr
    here = tmp_path / "here" / "data"
    for name in (TRAIN, VALIDATION):
        assert (there / name).exists() == (here / name).exists()
        if (there / name).exists():
            assert (there / name).read_bytes() == (here / name).read_bytes()
    mine, yours = read_report(here), client.runs.recipe(run)
    assert mine is not None
    assert mine.recipe_hash == yours.recipe_hash == client.runs.get(run).resolved.recipe_hash
    assert mine.rows_hash == yours.rows_hash
    assert yours.rows.train == len(rows_in(there / TRAIN))


def test_rates_are_copies_and_a_part(desk: Path, client: Client, served: Served) -> None:
    folder, run = on_server(client, served, RECIPES["rates"])
    times = Counter(map(encode_row, rows_in(folder / TRAIN)))
    assert Counter(times.values()) == {
        1: times.total() - sum(n for n in times.values() if n > 1),
        2: 30,
        3: 30,
    }
    large, small = client.runs.recipe(run).parts
    assert abs(large.characters - 0.25 * large.characters_in) < 60
    assert abs(small.characters - 2.5 * small.characters_in) < 260
    assert large.share + small.share == pytest.approx(100)
    expected = client.runs.preview(RECIPES["rates"])
    assert [part.characters for part in expected.parts] == pytest.approx(
        [large.characters, small.characters], rel=0.02
    )


def test_shares_become_rates(desk: Path, client: Client, served: Served) -> None:
    found = client.runs.preview(RECIPES["shares"])
    assert [part.share for part in found.parts] == pytest.approx([40, 60], abs=0.01)
    refs = client.runs.resolve(RECIPES["shares"]).spec.data.train
    assert [ref.share for ref in refs] == [None, None]
    assert [ref.sampling_rate for ref in refs] == pytest.approx([part.sampling_rate for part in found.parts])
    alone = client.runs.resolve(RECIPES["one share"]).spec.data.train
    assert alone[0].sampling_rate == 1
    assert [part.share for part in client.runs.preview(RECIPES["one share"]).parts] == pytest.approx(
        [50, 50], abs=0.01
    )


def test_the_general_corpus_is_a_sixth(desk: Path, client: Client, served: Served) -> None:
    _, run = on_server(client, served, RECIPES["general corpus"])
    own, general = client.runs.recipe(run).parts
    assert (own.kind, general.kind, general.dataset) == ("own", "general", "tunery-general@1")
    assert general.characters / own.characters == pytest.approx(0.2, rel=0.03)
    found = client.runs.preview(RECIPES["general corpus"])
    assert found.general_tokens is not None
    assert 0 < found.general_tokens < (found.tokens or 0) / 4
    assert client.runs.get(run).resolved.spec.data.mix.dataset == "tunery-general"  # pyright: ignore[reportOptionalMemberAccess]
    assert client.runs.preview(RECIPES["rates"]).general_tokens is None


def test_copies_never_stand_on_both_sides_of_a_split(desk: Path, client: Client, served: Served) -> None:
    folder, run = on_server(client, served, RECIPES["split"])
    train = set(map(encode_row, rows_in(folder / TRAIN)))
    validating = list(map(encode_row, rows_in(folder / VALIDATION)))
    assert len(validating) == len(set(validating)) == 92
    assert not train & set(validating)
    counts = client.runs.recipe(run).rows
    assert (counts.sampled, counts.set_aside, counts.validation, counts.train) == (580, 92, 92, 90)


def test_more_than_a_thousand_return_to_training(desk: Path, client: Client, served: Served) -> None:
    rows = [question(f"Who lives in house {n}?", f"Number {n}.") for n in range(2400)]
    client.datasets.create(write(desk / "street.jsonl", rows), name="street")
    client.datasets.wait("street", timeout=PATIENCE)
    given = spec([{"dataset": "street"}], settings={"validation_split_ratio": 0.5})
    expected = client.runs.preview(given)
    _, run = on_server(client, served, given)
    for counts in (expected.rows, client.runs.recipe(run).rows):
        assert (counts.set_aside, counts.validation, counts.returned, counts.train) == (1200, 1000, 200, 1400)
    told = [event.body.get("message", "") for event in client.runs.events(run)]
    assert any("1,200 rows were set aside for validation; 200 of them went back" in text for text in told)
    assert any("1,200 rows were drawn" in note and "200 go back" in note for note in expected.notes)


def test_joined_rows_keep_every_turn_and_fit(desk: Path, client: Client, served: Served) -> None:
    folder, run = on_server(client, served, RECIPES["several turns"])
    rows = rows_in(folder / TRAIN)
    counts = client.runs.recipe(run).rows
    assert counts.train == len(rows) == 400 - counts.joined
    assert 150 < counts.joined < 300
    turns = [message.text for row in rows if isinstance(row, Conversation) for message in row.messages]
    assert len(turns) == 800
    assert turns[::2] == [f"Where does number {n} of the red series stand?" for n in range(400)]


def test_rows_of_different_system_turns_stay_apart(desk: Path, client: Client, served: Served) -> None:
    rows = [question(f"Say {n}.", f"{n}", system="Be brief." if n % 2 else "Be kind.") for n in range(120)]
    client.datasets.create(write(desk / "systems.jsonl", rows), name="systems")
    client.datasets.wait("systems", timeout=PATIENCE)
    _, run = on_server(
        client, served, spec([{"dataset": "systems"}], settings={"pseudo_multi_turn_probability": 1})
    )
    assert client.runs.recipe(run).rows.joined == 0


def test_leaks_are_shown_and_not_refused(desk: Path, client: Client, served: Served) -> None:
    given = spec([{"dataset": "large"}], evaluate={"dataset": {"dataset": "exam"}})
    found = client.runs.preview(given)
    assert found.leaks is not None
    assert (found.leaks.exact, found.leaks.test_rows, found.leaks.complete) == (4, 30, True)
    first = found.leaks.rows[0]
    assert (first.test, first.test_row, first.train, first.train_row) == ("exam@1", 26, "large@1", 0)
    (leak,) = client.runs.resolve(given).leaks
    said = "4 of 30 held-out rows of exam@1 are also in the training data. Scores on these rows measure memorisation."
    assert (leak.role, leak.exact, leak.near, leak.message) == ("held_out", 4, 0, said)
    _, run = on_server(client, served, given)
    report = client.runs.recipe(run)
    assert report.leaks is not None
    assert report.leaks.tests[-1] == leak
    assert said in [event.body.get("message") for event in client.runs.events(run)]


def test_a_hundred_rows_are_counted_after_sampling(desk: Path, client: Client, served: Served) -> None:
    with pytest.raises(Problem) as caught:
        client.runs.resolve(spec([{"dataset": "few", "sampling_rate": 2}]))
    assert caught.value.code == "too_few_rows"
    assert "few@1: 40 × 2 = 80" in caught.value.message
    found = client.runs.preview(spec([{"dataset": "few", "sampling_rate": 2.5}]))
    assert (found.minimum.counted, found.minimum.minimum) == (100, 100)
    mixed = client.runs.preview(spec([{"dataset": "few", "sampling_rate": 2}], data={"mix": 2}))
    assert mixed.minimum.counted > 100
    assert " + tunery-general@1: 2,000 × " in mixed.minimum.arithmetic


def test_a_text_file_counts_as_the_pieces_it_makes(served: Served, client: Client) -> None:
    text = "The lighthouse keeper went up the stairs and lit the lamp. " * 900
    (served.folder / "book.txt").write_text(text)
    client.datasets.create(served.folder / "book.txt", name="book")
    client.datasets.wait("book", timeout=PATIENCE)
    given = spec([{"dataset": "book"}], method="pretrain", settings={"max_sequence_length": 64})
    found = client.runs.preview(given)
    assert found.parts[0].rows_in == 1
    assert 150 < found.minimum.counted < 600
    with pytest.raises(Problem, match="Training needs at least 100 rows"):
        client.runs.preview({**given, "settings": {"max_sequence_length": 512}})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (spec([{"dataset": "large"}, {"dataset": "large", "version": 1}]), "large@1 is listed twice"),
        (spec([{"dataset": "large"}], data={"mix": {"dataset": "large"}}), "large@1 is listed twice"),
        (spec([{"dataset": "large", "sampling_rate": 0.009}]), "sampling_rate"),
        (spec([{"dataset": "large", "sampling_rate": 10.1}]), "sampling_rate"),
        (spec([{"dataset": "large", "share": 30}, {"dataset": "small", "share": 60}]), "90 %"),
        (spec([{"dataset": "large", "share": 30, "sampling_rate": 1}, {"dataset": "small"}]), "either"),
        (spec([{"dataset": "large", "share": 0.5}, {"dataset": "few", "share": 99.5}]), "sampling rate"),
        (
            spec([{"dataset": "large"}], data={"validation": {"dataset": "exam", "sampling_rate": 2}}),
            "sampling_rate",
        ),
        (
            spec([{"dataset": "prose"}], method="pretrain", settings={"pseudo_multi_turn_probability": 0.5}),
            "no setting",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(desk: Path, client: Client, given: dict[str, Any], said: str) -> None:
    with pytest.raises(Problem) as caught:
        client.runs.resolve(given)
    assert said in caught.value.message


def test_a_dataset_whose_import_failed_is_no_draft(client: Client, tmp_path: Path) -> None:
    client.datasets.create(
        write(tmp_path / "wrong.jsonl", [{"instruction": "?", "output": ""}]), name="wrong"
    )
    with pytest.raises(Problem, match="can't be used"):
        client.datasets.wait("wrong", timeout=60)
    with pytest.raises(Problem, match="has no rows; its state is failed"):
        client.runs.resolve(spec([{"dataset": "wrong"}]))


def test_the_command_shows_it_before_training(desk: Path, served: Served) -> None:
    file = as_local(RECIPES["general corpus"], desk / "dry.yaml")
    done = served.tunery("train", file, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [part["dataset"].rpartition("/")[2] for part in found["parts"]] == [
        "large.jsonl",
        "tunery-general@1",
    ]
    assert not (desk / "tunery-runs").exists()
    (desk / "there.yaml").write_text(json.dumps(RECIPES["general corpus"]))
    there = json.loads(served.tunery("train", desk / "there.yaml", "--server", "--dry-run", "--json").stdout)
    assert there["recipe_hash"] == found["recipe_hash"]
    assert [part["tokens"] for part in there["parts"]] == [part["tokens"] for part in found["parts"]]


def test_an_administrator_designates_the_corpus(tmp_path: Path) -> None:
    rows = [question(f"What is {n}?", f"A number, {n}.") for n in range(150)]
    with (
        server(tmp_path, TUNERY_GENERAL_CORPUS="ours@1", TUNERY_MINIMUM_ROWS="20") as own,
        Client(own.url, own.token) as client,
    ):
        for name, count in (("ours", 150), ("mine", 25)):
            client.datasets.create(write(tmp_path / f"{name}.jsonl", rows[:count]), name=name)
            client.datasets.wait(name, timeout=PATIENCE)
        found = client.runs.preview(spec([{"dataset": "mine"}], data={"mix": True}))
        assert [part.dataset for part in found.parts] == ["mine@1", "ours@1"]
        assert found.minimum.minimum == 20
