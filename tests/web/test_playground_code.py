"""The playground's code is a request one can send: it ends with what the person says."""

import ast
import json

from playwright.sync_api import Page, expect

from tests.web.conftest import Open

_ANSWER = 'data: {"choices": [{"delta": {"content": "Blue."}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


def _curl(page: Page) -> list[dict[str, str]]:
    body = page.inner_text("#code-curl").partition("-d '")[2].rstrip().removesuffix("'")
    return json.loads(body)["messages"]


def _python(page: Page) -> list[dict[str, str]]:
    calls = [
        node for node in ast.walk(ast.parse(page.inner_text("#code-python"))) if isinstance(node, ast.Call)
    ]
    given = next(word for call in calls for word in call.keywords if word.arg == "messages")
    return ast.literal_eval(given.value)


def test_the_code_is_the_request_that_was_sent_and_then_the_next(window: Open) -> None:
    page = window().open("/playground")
    page.route(
        "**/v1/chat/completions",
        lambda route: route.fulfill(content_type="text/event-stream", body=_ANSWER),
    )
    asked = {"role": "user", "content": "What colour is it?"}
    page.fill("#message", asked["content"])
    page.press("#message", "Enter")
    expect(page.locator(".turn.assistant")).to_contain_text("Blue.")
    expect(page.locator("#send")).to_be_visible()
    assert _curl(page) == _python(page) == [asked]
    page.fill("#message", "And the other?")
    answered = {"role": "assistant", "content": "Blue."}
    assert _curl(page) == _python(page) == [asked, answered, {"role": "user", "content": "And the other?"}]
    for language in ("curl", "Python"):
        expect(page.get_by_role("button", name=f"Copy as {language}")).to_be_visible()
