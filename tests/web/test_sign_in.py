"""Signing in: a wrong token says so, the way back is kept, and leads nowhere else."""

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.served import Served
from tests.web.conftest import Open


def test_a_wrong_token_says_so(browser: Browser, served: Served) -> None:
    page = browser.new_page()
    page.goto(f"{served.url}/runs?state=failed")
    page.fill("#token", "tnr_wrong")
    page.click("button[type=submit]")
    expect(page.locator("[role=alert]")).to_contain_text("is unknown or was revoked")
    page.fill("#token", served.token)
    page.click("button[type=submit]")
    page.wait_for_url(f"{served.url}/runs?state=failed")
    page.close()


def test_signing_out_ends_it(window: Open) -> None:
    page = window().open("/")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.goto(page.url.replace("/login", "/datasets"))
    assert "/login?next=/datasets" in page.url


def test_the_cookie_is_for_the_server_alone(window: Open) -> None:
    page = window().page
    [cookie] = page.context.cookies()
    assert cookie.get("httpOnly") is True
    assert cookie.get("sameSite") == "Strict"


FOREIGN = (
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "/\t/evil.example",
    "evil",
    "javascript:alert(1)",
)


@pytest.mark.parametrize("foreign", FOREIGN)
def test_the_way_back_is_never_another_site(served: Served, foreign: str) -> None:
    answer = httpx.post(f"{served.url}/login", data={"token": served.token, "next": foreign})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"


def test_a_visitor_without_a_token_sees_no_room(served: Served) -> None:
    for path in (
        "/",
        "/datasets",
        "/runs",
        "/runs/new",
        "/models",
        "/models/base",
        "/playground",
        "/start/active",
    ):
        answer = httpx.get(served.url + path)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/login"), path
    part = httpx.get(f"{served.url}/start/active", headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["hx-redirect"]) == (204, "/login")


def test_a_form_of_another_site_is_refused(served: Served) -> None:
    signed = httpx.post(f"{served.url}/login", data={"token": served.token})
    cookie = {"Cookie": signed.headers["set-cookie"].partition(";")[0]}
    forged = httpx.post(f"{served.url}/start/demo", headers={**cookie, "Origin": "https://evil.example"})
    assert forged.status_code == 403
    assert "https://evil.example" in forged.text
