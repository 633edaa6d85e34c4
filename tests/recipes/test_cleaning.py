"""Cleaning: every step on rows made for it, through the server, with every row accounted for."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.patience import PATIENCE
from tests.recipes.rows import question, write
from tests.served import Served
from tunery.core.errors import Problem
from tunery.data.clean import clean, ready
from tunery.data.cleaning.point import STEPS
from tunery.data.rows import Text, decode_row
from tunery.schemas.cleaning import CleaningStep
from tunery.sdk.client import Client

LONG = "The harbour master counts the boats every evening before the lamp of the tower is lit and writes them down"


@pytest.fixture(scope="module")
def messy(served: Served, client: Client) -> str:
    """A dataset of which every row is named by its answer."""
    rows = [
        question("Where is the shop?", "first"),
        question("Where is the shop?", "first"),
        question("WHERE is  the shop?", "other answer"),
        question(LONG, "harbour"),
        question(LONG + " neatly", "harbour"),
        question("x", "k"),
        question(
            "Wo steht das Haus mit dem roten Dach, das mein Onkel gebaut hat?",
            "Neben der alten Mühle am Fluss.",
        ),
        question(
            "Call +49 30 901820 or write to ann.lee@mail.example.org",
            "Order 4539578763621486, not 1234567890123456.",
        ),
        question(
            "Pay to DE89 3704 0044 0532 0130 00 from 192.168.7.20",
            "Version 1.2.3 of 2024-05-17, part 999.999.999.999.",
        ),
        question("Secret: ZX-99", "The code is ZX-99."),
    ]
    client.datasets.create(write(served.folder / "messy.jsonl", rows), name="messy")
    client.datasets.wait("messy", timeout=PATIENCE)
    write(served.folder / "tests.jsonl", [question("where is the SHOP?", "a"), question(LONG + " here", "b")])
    client.datasets.create(served.folder / "tests.jsonl", name="tests")
    client.datasets.wait("tests", timeout=PATIENCE)
    return "messy"


def cleaned(client: Client, *steps: Any, name: str = "messy") -> tuple[Any, list[dict[str, Any]]]:
    client.datasets.clean(name, steps, version=1, name="clean")
    version = client.datasets.wait("clean", timeout=PATIENCE)
    assert version.cleaning is not None
    for one in version.cleaning.steps:
        assert one.rows_before == one.removed + one.rows_after
        assert sum(one.reasons.values()) == one.removed + one.changed
    assert version.rows == version.cleaning.rows_after
    return version, client.datasets.rows("clean", version.version, 0, 100).rows


def said(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, ensure_ascii=False)


@pytest.mark.parametrize(
    ("step", "gone"),
    [
        ("exact_duplicates", [1]),
        ({"exact_duplicates": {"same": "question"}}, [1, 2]),
        ({"near_duplicates": {"likeness": 0.8}}, [1, 4]),
        ({"length": {"min_answer": 2}}, [5]),
        ({"length": {"max_characters": 80}}, [3, 4, 6, 7, 8]),
        ({"language": {"keep": ["en"], "keep_unsure": True}}, [6]),
        ({"regular_expression": {"pattern": r"\bZX-\d+"}}, [9]),
        ({"regular_expression": {"pattern": "shop", "action": "keep"}}, [3, 4, 5, 6, 7, 8, 9]),
        ({"personal_data": {"action": "remove"}}, [7, 8]),
        ({"contamination": {"tests": ["tests@1"]}}, [0, 1, 2, 3, 4]),
        ({"contamination": {"tests": ["tests"], "likeness": 1}}, [0, 1, 2]),
    ],
    ids=str,
)
def test_a_step_removes_what_it_says(client: Client, messy: str, step: Any, gone: list[int]) -> None:
    version, rows = cleaned(client, step)
    before = client.datasets.rows(messy, 1, 0, 100).rows
    assert rows == [row for number, row in enumerate(before) if number not in gone]
    report = version.cleaning.steps[0]
    assert [sample.row for sample in sorted(report.samples, key=lambda one: one.row)] == gone[:5]
    assert all(sample.after is None for sample in report.samples)


def test_personal_data_is_masked_and_nothing_else(client: Client, messy: str) -> None:
    version, rows = cleaned(client, "personal_data")
    text = said(rows)
    assert "Call [PHONE] or write to [EMAIL]" in text
    assert "Order [CARD], not 1234567890123456." in text
    assert "Pay to [IBAN] from [IP]" in text
    assert "Version 1.2.3 of 2024-05-17, part 999.999.999.999." in text
    report = version.cleaning.steps[0]
    assert (report.removed, report.changed) == (0, 2)
    assert report.reasons == {"it contains email, card, phone": 1, "it contains iban, ip": 1}
    assert "[EMAIL]" in report.samples[0].after
    assert "write to an" in report.samples[0].before
    assert not any("ann.lee" in sample.before or "0532" in sample.before for sample in report.samples)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("IPv6 2001:db8::ff00:42:8329 answers", "IPv6 [IP] answers"),
        ("at 12:30:45 on 17.05.2024", None),
        ("(030) 123 45 67-8", "[PHONE]"),
        ("0171 2345678.", "[PHONE]."),
        ("日本 03-1234-5678 です", "日本 [PHONE] です"),
        ("0.123456789 of 555-123-4567", "0.123456789 of [PHONE]"),
        ("ISBN 978-3-16-148410-0", None),
        ("3.14159265358979 and 12345678", None),
        ("a@b and @name and x@y.z", None),
        ("müller@straße.example!", "[EMAIL]!"),
        ("GB82 WEST 1234 5698 7654 32, GB82 WEST 1234 5698 7654 33", "[IBAN], GB82 WEST 1234 5698 7654 33"),
        ("4111 1111 1111 1111", "[CARD]"),
        ("0000 0000 0000 0000", None),
    ],
)
def test_what_has_a_check_digit_is_checked(text: str, masked: str | None) -> None:
    step = STEPS.load("personal_data")
    (verdict,) = step.clean([Text(text)], step.Settings(), None)  # pyright: ignore[reportArgumentType]
    found = verdict.row if hasattr(verdict, "row") else verdict  # pyright: ignore[reportAttributeAccessIssue]
    assert found == Text(masked or text)


def test_steps_follow_one_another(client: Client, messy: str, served: Served) -> None:
    (served.folder / "clean.yaml").write_text(
        yaml.safe_dump({"steps": ["exact_duplicates", {"length": {"min_answer": 2}}]})
    )
    done = served.tunery(
        "data", "clean", "messy", "--recipe", "clean.yaml", "--version", "1", "--as", "tidy",
        "--step", "regular_expression:pattern=ZX-\\d+,action=replace,replacement=[CODE]", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    version = json.loads(done.stdout)
    report = version["cleaning"]
    assert version["state"] == "draft"
    assert report["source"] == "messy@1"
    assert report["source_hash"] == client.datasets.version("messy", 1).content_hash
    counts = [(s["step"], s["rows_before"], s["removed"], s["changed"]) for s in report["steps"]]
    assert counts == [
        ("exact_duplicates", 10, 1, 0), ("length", 9, 1, 0), ("regular_expression", 8, 0, 1)
    ]  # fmt: skip
    assert report["steps"][1]["samples"][0]["row"] == 5
    assert "The code is [CODE]." in said(client.datasets.rows("tidy", version["version"], 0, 100).rows)
    shown = served.tunery(
        "data", "clean", "messy", "--step", "exact_duplicates", "--version", "1", "--as", "tidy"
    )
    assert "9 of 10 rows of messy@1" in shown.stdout
    assert served.tunery("data", "publish", "tidy").returncode == 0
    assert client.datasets.get("tidy").latest.state == "published"  # pyright: ignore[reportOptionalMemberAccess]


def test_the_same_steps_give_the_same_version(client: Client, messy: str) -> None:
    steps = ["exact_duplicates", "near_duplicates", "personal_data"]
    first, _ = cleaned(client, *steps)
    second, _ = cleaned(client, *steps)
    assert first.content_hash == second.content_hash
    assert first.version < second.version


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("magic", "no cleaning step named “magic”"),
        ({"length": {}}, "set at least one limit"),
        ({"length": {"min_answers": 3}}, "min_answers"),
        ({"regular_expression": {"pattern": "("}}, "a valid regular expression"),
        ({"contamination": {"tests": ["nowhere"]}}, "nowhere"),
    ],
)
def test_a_wrong_step_is_refused_before_anything_is_made(
    client: Client, messy: str, step: Any, said: str
) -> None:
    before = len(client.datasets.versions(messy))
    with pytest.raises(Problem) as caught:
        client.datasets.clean(messy, [step])
    assert said in caught.value.message
    assert len(client.datasets.versions(messy)) == before


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ({"length": {"min_characters": 100_000}}, "nothing_left"),
        (
            {"regular_expression": {"pattern": r"(.+?)(.+?)(.+?)(.+?)(.+?)(.+?)(.+?)\7\6\5\4\3\2\1"}},
            "pattern_unusable",
        ),
        (
            {"regular_expression": {"pattern": "shop", "action": "replace", "replacement": r"\3"}},
            "pattern_unusable",
        ),
    ],
)
def test_what_goes_wrong_on_the_way_leaves_a_failed_version(
    client: Client, messy: str, step: Any, code: str
) -> None:
    client.datasets.clean(messy, [step], version=1, name="wrong")
    with pytest.raises(Problem) as caught:
        client.datasets.wait("wrong", timeout=PATIENCE)
    assert caught.value.code == code


texts = st.lists(
    st.sampled_from(["a", "bb", "ccc ccc ccc ccc ccc ccc", "DDDD"]) | st.text(max_size=40), max_size=40
)


@settings(max_examples=30, deadline=None)
@given(texts=texts, names=st.permutations(["exact_duplicates", "near_duplicates", "personal_data", "length"]))
def test_every_row_is_accounted_for(
    texts: list[str], names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [Text(text) for text in texts]
    wanted = [
        CleaningStep(step=name, settings={"min_characters": 2} if name == "length" else {}) for name in names
    ]
    left: list[Any] = []
    found = clean(
        rows,
        ready(wanted),
        scratch=tmp_path_factory.mktemp("scratch"),
        dataset=lambda _: (),
        on_rows=lambda lines, _: left.extend(map(decode_row, lines)),
    )
    assert found.steps[0].rows_before == len(texts)
    for one, following in zip(found.steps, found.steps[1:], strict=False):
        assert one.rows_after == following.rows_before
    assert len(left) == found.rows == found.steps[-1].rows_after
    assert len(set(left)) == len(left)
    assert all(len(row.text) >= 2 for row in left)
