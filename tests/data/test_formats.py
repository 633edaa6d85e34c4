"""Formats: what each record becomes, and why it is refused."""

from typing import Any

import orjson
import pytest

from tunery.core.errors import Problem
from tunery.data.detect import detect_format
from tunery.data.formats.point import FORMATS
from tunery.data.rows import (
    ROW_TYPES,
    Conversation,
    Labelled,
    Message,
    Preference,
    RowError,
    characters,
    decode_row,
    encode_row,
)


def turns(format: str, record: object) -> list[tuple[str, str]]:
    row = FORMATS.load(format).read(record)
    assert isinstance(row, Conversation)
    return [(message.role, message.text) for message in row.messages]


def refusal(format: str, record: object) -> RowError:
    with pytest.raises(RowError) as error:
        FORMATS.load(format).read(record)
    assert error.value.fix
    return error.value


def gpt(*pairs: tuple[str, Any], **more: Any) -> dict[str, Any]:
    return {"conversations": [{"from": role, "value": text} for role, text in pairs], **more}


def openai(*pairs: tuple[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text} for role, text in pairs], **more}


@pytest.mark.parametrize("name", FORMATS.names())
def test_a_format_reads_and_recognises_its_own_example_alone(name: str) -> None:
    format = FORMATS.load(name)
    record = orjson.loads(format.EXAMPLE)
    row = format.read(record)
    assert ROW_TYPES[format.ROW_KIND] is type(row)
    assert decode_row(encode_row(row)) == row
    assert [other for other, found in FORMATS.all() if found.recognise(record)] == [name]
    for wrong in (None, 3, "x", [], {}, [record], {"a": 1}):
        assert format.recognise(wrong) is None
        refusal(name, wrong)


def test_alpaca() -> None:
    full = {
        "instruction": "Add.",
        "input": "1+1",
        "output": "2",
        "system": "Be brief.",
        "history": [["Hi", "Ho"]],
    }
    assert turns("alpaca", full) == [
        ("system", "Be brief."), ("user", "Hi"), ("assistant", "Ho"), ("user", "Add.\n1+1"), ("assistant", "2"),
    ]  # fmt: skip
    for empty in ("", None, " "):
        short = {"instruction": "Add.", "input": empty, "output": " 2\n", "system": empty, "history": None}
        assert turns("alpaca", short) == [("user", "Add."), ("assistant", " 2\n")]
    assert turns("alpaca", {"instruction": "", "input": "x", "output": "y"}) == [
        ("user", "x"),
        ("assistant", "y"),
    ]


@pytest.mark.parametrize(
    ("record", "rule", "field"),
    [
        ({"instruction": "a", "output": " \n"}, "empty_answer", "output"),
        ({"instruction": "a"}, "field_missing", "output"),
        ({"instruction": "a", "output": None}, "not_text", "output"),
        ({"instruction": "a", "output": 3}, "not_text", "output"),
        ({"instruction": " ", "output": "b"}, "empty_instruction", "instruction"),
        ({"instruction": "a", "output": "b", "input": ["c"]}, "not_text", "input"),
        ({"instruction": "a", "output": "b", "history": [["c"]]}, "history_not_pairs", "history[0]"),
        ({"instruction": "a", "output": "b", "history": "c"}, "history_not_pairs", "history"),
        ({"instruction": "a", "output": "b", "history": [["c", ""]]}, "empty_turn", "history[0]"),
    ],
)
def test_alpaca_refuses(record: object, rule: str, field: str) -> None:
    error = refusal("alpaca", record)
    assert (error.rule, error.field) == (rule, field)


@pytest.mark.parametrize("user", ["human", "user", "Human"])
@pytest.mark.parametrize("assistant", ["gpt", "assistant", "chatgpt", "bing", "bard", "GPT"])
def test_sharegpt_roles(user: str, assistant: str) -> None:
    expected = [("user", "a"), ("assistant", "b")]
    assert turns("sharegpt", gpt((user, "a"), (assistant, "b"))) == expected


@pytest.mark.parametrize("tool", ["tool", "observation", "function"])
def test_sharegpt_system_and_tools(tool: str) -> None:
    record = gpt(("human", "a"), ("gpt", "b"), (tool, "c"), ("gpt", "d"), system="s", tools='[{"name": "t"}]')
    row = FORMATS.load("sharegpt").read(record)
    assert isinstance(row, Conversation)
    assert [message.role for message in row.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert row.tools == '[{"name":"t"}]'
    inside = gpt(("system", "s"), ("human", "a"), ("gpt", "b"))
    assert turns("sharegpt", inside)[0] == ("system", "s")
    assert encode_row(row) != encode_row(Conversation(row.messages))
    assert b"tools" not in encode_row(Conversation(row.messages))


SPELLERS = pytest.mark.parametrize(
    ("format", "make", "key", "list_name"),
    [("sharegpt", gpt, "from", "conversations"), ("messages", openai, "role", "messages")],
)


@SPELLERS
@pytest.mark.parametrize(
    ("pairs", "rule", "at"),
    [
        ([("user", "a")], "no_answer_at_end", 0),
        ([], "no_answer_at_end", None),
        ([("user", "a"), ("assistant", "b"), ("user", "c")], "no_answer_at_end", 2),
        ([("assistant", "b")], "user_not_first", 0),
        ([("system", "s"), ("assistant", "b")], "user_not_first", 1),
        ([("user", "a"), ("user", "b"), ("assistant", "c")], "turns_do_not_alternate", 1),
        ([("user", "a"), ("assistant", "b"), ("assistant", "c")], "turns_do_not_alternate", 2),
        ([("user", "a"), ("tool", "b"), ("assistant", "c")], "turns_do_not_alternate", 1),
        ([("user", "a"), ("system", "b"), ("assistant", "c")], "system_not_first", 1),
        ([("user", "a"), ("assistant", " ")], "empty_answer", 1),
        ([("user", ""), ("assistant", "b")], "empty_turn", 0),
    ],
)
def test_conversations_that_make_no_sense(
    format: str, make: Any, key: str, list_name: str, pairs: list[tuple[str, str]], rule: str, at: int | None
) -> None:
    error = refusal(format, make(*pairs))
    assert error.rule == rule
    assert error.field == (list_name if at is None else f"{list_name}[{at}]")


@SPELLERS
def test_turns_that_are_no_turns(format: str, make: Any, key: str, list_name: str) -> None:
    good = make(("user", "a"), ("assistant", "b"))
    for wrong, rule in [(3, "turn_not_an_object"), ({}, "field_missing"), ({key: "user"}, "field_missing")]:
        assert refusal(format, {list_name: [wrong, *good[list_name]]}).rule == rule
    assert refusal(format, make(("wizard", "a"), ("assistant", "b"))).rule == "unknown_role"
    assert refusal(format, make(("user", 3), ("assistant", "b"))).rule == "not_text"
    assert refusal(format, {list_name: "x"}).rule == "not_a_list"
    assert refusal(format, {}).rule == "field_missing"
    assert refusal(format, {**good, "tools": "{"}).rule == "tools_not_a_list"


def test_sharegpt_refuses_what_it_cannot_teach() -> None:
    assert refusal("sharegpt", gpt(("human", "a"), ("function_call", "{}"))).rule == "tool_call"
    double = gpt(("system", "s"), ("human", "a"), ("gpt", "b"), system="t")
    assert refusal("sharegpt", double).rule == "two_systems"


def test_messages() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert turns("messages", openai(("developer", "s"), ("user", parts), ("assistant", "c"))) == [
        ("system", "s"), ("user", "ab"), ("assistant", "c"),
    ]  # fmt: skip
    sound = [{"type": "input_audio", "input_audio": {"data": "x"}}]
    assert refusal("messages", openai(("user", sound), ("assistant", "c"))).rule == "content_not_text"
    calls = {
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": None, "tool_calls": [1]},
        ]
    }
    assert refusal("messages", calls).rule == "tool_call"
    silent = {
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]
    }
    assert refusal("messages", silent).rule == "weight"
    assert refusal("messages", openai(("user", "a"), ("assistant", None))).rule == "empty_answer"


def test_one_content_has_one_form_whatever_it_came_from() -> None:
    rows = {
        encode_row(FORMATS.load("alpaca").read({"instruction": "a", "output": "é"})),
        encode_row(FORMATS.load("sharegpt").read(gpt(("human", "a"), ("gpt", "é")))),
        encode_row(
            FORMATS.load("messages").read(
                openai(
                    ("user", "a"),
                    ("assistant", "é"),
                )
            )
        ),
        encode_row(Conversation((Message.of("user", "a"), Message.of("assistant", "é")))),
    }
    assert len(rows) == 1


@pytest.mark.parametrize(
    ("record", "format"),
    [
        (gpt(("human", "a"), chosen={"from": "gpt", "value": "b"}, rejected="c"), "preference"),
        (openai(("user", "a"), chosen="b", rejected="c"), "preference"),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, "preference"),
        ({"instruction": "a", "output": ["b", "c"]}, "preference"),
        (openai(("user", "a"), ("assistant", "b"), label=False), "kto"),
        (gpt(("human", "a"), ("gpt", "b"), label=True), "kto"),
        ({"instruction": "a", "output": "b", "label": True}, "kto"),
        ({"prompt": "a", "completion": "b", "label": True}, "kto"),
        ({"prompt": "a", "response": "b"}, "prompt_completion"),
        (gpt(("human", "a"), ("gpt", "b"), image_path="x.png"), "sharegpt_image"),
        ({"instruction": "a", "output": "b", "image": None}, "alpaca"),
        ({"prompt": "a", "completion": "b", "images": []}, "prompt_completion"),
        ({"file_name": "x.png", "text": "a"}, "image_caption"),
        ({"file_name": "book.txt", "text": "a"}, "corpus"),
        ({"prompt": "a", "image": "x.png", "response": "b"}, "prompt_image_response"),
        ({"prompt": "a", "image": "x.png", "chosen": "b", "rejected": "c"}, "preference"),
        ({"text": "a", "label": True}, None),
    ],
)  # fmt: skip
def test_labelled_and_ranked_data_is_not_taken_for_answers_to_learn(
    record: object, format: str | None
) -> None:
    if format is not None:
        assert detect_format([record], "a.jsonl")[0] == format
        return
    with pytest.raises(Problem) as problem:
        detect_format([record], "a.jsonl")
    assert problem.value.code == "format_unknown"
    assert ", ".join(FORMATS.names()) in problem.value.cure


def preferred(record: object) -> tuple[list[tuple[str, str]], list[str]]:
    row = FORMATS.load("preference").read(record)
    assert isinstance(row, Preference)
    assert decode_row(encode_row(row)) == row
    asked = [(message.role, message.text) for message in row.messages]
    assert characters(row) == sum(len(text) for _, text in asked) + sum(len(one.text) for one in row.answers)
    assert (row.chosen, row.rejected) == (row.answers[0], row.answers[-1])
    return asked, [answer.text for answer in row.answers]


@pytest.mark.parametrize(
    "record",
    [
        gpt(("human", "a"), chosen={"from": "gpt", "value": "b"}, rejected={"from": "gpt", "value": "c"}),
        openai(("user", "a"), chosen={"role": "assistant", "content": "b"}, rejected="c"),
        {"prompt": "a", "chosen": "b", "rejected": "c"},
        {"prompt": [{"from": "user", "value": "a"}], "chosen": [{"from": "bot", "value": "b"}], "rejected": "c"},
        {"instruction": "a", "input": "", "chosen": "b", "rejected": "c"},
        {"instruction": "a", "output": ["b", "c"]},
        {"prompt": "a", "answers": ["b", {"role": "assistant", "content": "c"}]},
        {
            "chosen": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
            "rejected": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "c"}],
        },
    ],
)  # fmt: skip
def test_preferences_however_they_are_written(record: object) -> None:
    assert preferred(record) == ([("user", "a")], ["b", "c"])
    assert FORMATS.load("preference").recognise(record)


def test_ranked_answers_keep_their_order_and_the_system_turn() -> None:
    record = {"prompt": "a", "system": "s", "responses": ["best", "good", "bad"]}
    assert preferred(record) == ([("system", "s"), ("user", "a")], ["best", "good", "bad"])


@pytest.mark.parametrize(
    ("record", "rule", "field"),
    [
        ({"prompt": "a", "chosen": "b"}, "field_missing", "rejected"),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "same_answers", "rejected"),
        ({"prompt": "a", "chosen": "b", "rejected": " "}, "empty_answer", "rejected"),
        ({"prompt": "a", "chosen": "b", "rejected": 3}, "not_an_answer", "rejected"),
        ({"prompt": "a", "chosen": "b", "rejected": {"role": "user", "content": "c"}}, "not_an_answer", "rejected"),
        ({"prompt": " ", "chosen": "b", "rejected": "c"}, "empty_turn", "prompt"),
        ({"chosen": "b", "rejected": "c"}, "field_missing", "prompt"),
        ({"prompt": "a", "answers": ["b"]}, "too_few_answers", "answers"),
        ({"prompt": "a", "answers": ["b", ""]}, "empty_answer", "answers[1]"),
        (openai(("user", "a"), ("assistant", "x"), chosen="b", rejected="c"), "turns_do_not_alternate", "messages[2]"),
        (openai(("system", "t"), ("user", "a"), system="s", chosen="b", rejected="c"), "two_systems", "system"),
    ],
)  # fmt: skip
def test_preferences_that_make_no_sense(record: object, rule: str, field: str) -> None:
    error = refusal("preference", record)
    assert (error.rule, error.field) == (rule, field)


def test_two_conversations_must_ask_the_same() -> None:
    def talk(*texts: str) -> list[dict[str, str]]:
        return [
            {"role": role, "content": text} for role, text in zip(("user", "assistant"), texts, strict=False)
        ]

    assert (
        refusal("preference", {"chosen": talk("a", "b"), "rejected": talk("x", "c")}).rule
        == "different_questions"
    )
    turned = [*talk("a"), {"role": "user", "content": "c"}]
    assert refusal("preference", {"chosen": talk("a", "b"), "rejected": turned}).rule == "no_answer_at_end"


@pytest.mark.parametrize("label", [True, False])
def test_labelled_answers(label: bool) -> None:
    for record in (
        openai(("user", "a"), ("assistant", "b"), label=label),
        gpt(("human", "a"), ("gpt", "b"), label=label),
        {"prompt": "a", "completion": "b", "label": label},
        {"instruction": "a", "output": "b", "label": label},
    ):
        row = FORMATS.load("kto").read(record)
        assert row == Labelled((Message.of("user", "a"), Message.of("assistant", "b")), label)
        assert decode_row(encode_row(row)) == row
        assert characters(row) == 2


@pytest.mark.parametrize(
    ("record", "rule", "field"),
    [
        (openai(("user", "a"), ("assistant", "b")), "field_missing", "label"),
        (openai(("user", "a"), ("assistant", "b"), label="yes"), "not_a_truth_value", "label"),
        (openai(("user", "a"), ("assistant", "b"), label=1), "not_a_truth_value", "label"),
        (openai(("user", "a"), label=True), "no_answer_at_end", "messages[0]"),
        ({"prompt": "a", "label": True}, "field_missing", "completion"),
    ],
)
def test_labels_that_make_no_sense(record: object, rule: str, field: str) -> None:
    error = refusal("kto", record)
    assert (error.rule, error.field) == (rule, field)


def test_prompt_and_completion() -> None:
    assert turns("prompt_completion", {"prompt": "a", "response": "b", "system": "s"}) == [
        ("system", "s"), ("user", "a"), ("assistant", "b"),
    ]  # fmt: skip
    assert refusal("prompt_completion", {"prompt": "a", "completion": ""}).rule == "empty_answer"
    assert refusal("prompt_completion", {"prompt": " ", "completion": "x"}).rule == "empty_turn"


def test_the_majority_decides() -> None:
    text, chat = {"text": "x"}, openai(("user", "a"), ("assistant", "b"))
    format, reason = detect_format([text, chat, chat, 3], "a.jsonl")
    assert format == "messages"
    assert "2 of the first 4 records" in reason
