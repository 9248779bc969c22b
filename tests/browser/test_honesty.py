"""The page never shows as true what it cannot know, and never runs what others wrote."""

import re
import signal

import pytest
from playwright.sync_api import expect

from conftest import CONTRAST


def test_a_stopped_service_is_said_loudly_and_found_again(service, open_page, gate):
    service.submit("before", {"wait": {"command": gate.wait}})
    page = open_page()
    banner = page.locator("#banner")
    expect(page.locator("#running li")).to_have_count(1)
    expect(banner).to_be_hidden()

    open_page.errors_expected = True
    service.stop()
    expect(banner).to_be_visible()
    expect(banner).to_contain_text("No connection to Kartograph")
    expect(banner).to_contain_text("What you see is from")
    expect(page.locator("#link-word")).to_have_text("not connected")
    expect(page).to_have_title("✕ not connected · Kartograph")
    # It is not known whether it still runs: how long stays as it was.
    elapsed = page.locator("#running li .time").text_content()
    expect(banner).to_contain_text(re.compile(r" ([3-9]|\d\d) s ago"))
    assert page.locator("#running li .time").text_content() == elapsed

    gate.open()
    service.start()
    expect(banner).to_be_hidden()
    expect(page.locator("#link-word")).to_have_text("live")
    row = page.locator("#graphs li").filter(has_text="before")
    expect(row.locator(".state")).to_contain_text("succeeded")
    expect(page.locator("#running .empty")).to_be_visible()
    service.submit("after", {"quick": {"command": ["true"]}})
    expect(page.locator("#graphs li").filter(has_text="after").locator(".state")).to_contain_text(
        "succeeded")


def test_a_service_that_falls_silent_is_said_loudly(service, open_page):
    # The page's clock is ours, so that twenty seconds need not pass.
    page = open_page(before=lambda page: page.clock.install())
    open_page.errors_expected = True
    service.process.send_signal(signal.SIGSTOP)
    page.clock.fast_forward(21_000)
    expect(page.locator("#banner")).to_be_visible()
    expect(page.locator("#banner")).to_contain_text("What you see is from")
    service.process.send_signal(signal.SIGCONT)
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator("#link-word")).to_have_text("live")


def test_a_quiet_service_stays_live(open_page):
    """Heartbeats alone keep the page live."""
    page = open_page()
    first = page.locator("#as-of").text_content()
    page.evaluate("""() => {
        const banner = document.getElementById('banner');
        window.alarms = 0;
        new MutationObserver(() => { window.alarms += !banner.hidden; }).observe(
            banner, {attributes: true});
    }""")
    expect(page.locator("#as-of")).not_to_have_text(first)
    assert page.evaluate("window.alarms") == 0


def test_a_page_hidden_for_long_pauses_and_catches_up(service, open_page):
    """A browser has six connections to one service: forgotten tabs must not use them up."""
    page = open_page(before=lambda page: page.clock.install())

    def hide(hidden):
        page.evaluate("""(hidden) => {
            Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
            document.dispatchEvent(new Event('visibilitychange'));
        }""", hidden)
    hide(True)
    page.clock.fast_forward(121_000)
    expect(page).to_have_title("paused · Kartograph")
    service.submit("meanwhile", {"quick": {"command": ["true"]}})
    hide(False)
    expect(page.locator("#link-word")).to_have_text("live")
    row = page.locator("#graphs li").filter(has_text="meanwhile")
    expect(row.locator(".state")).to_contain_text("succeeded")
    expect(page.locator("#banner")).to_be_hidden()


def test_names_with_markup_cannot_be_submitted(service):
    answer = service.try_submit("page", {"<img src=x onerror=alert(1)>": {"command": ["true"]}})
    assert answer.returncode == 2, answer
    assert answer.stdout == ""


def test_markup_in_a_log_is_shown_as_text(service, open_page):
    markup = "<img src=x onerror=alert(1)><script>alert(2)</script>&lt;b&gt;"
    graph = service.submit("page", {"write": {
        "command": ["sh", "-c", f"echo '{markup}'; echo '{markup}' >&2; exit 1"],
        "environment": {"MARKUP": markup}}})
    page = open_page()
    expect(page.locator("#failures pre")).to_have_text(markup)
    page.goto(f"{service.url}/#/graphs/{graph}/tasks/write")
    expect(page.locator(".log pre")).to_have_text(markup + "\n")
    expect(page.locator(".facts")).to_contain_text("MARKUP=***")
    assert page.locator("main img, main script, pre *").count() == 0


def test_the_page_forbids_itself_what_is_not_its_own(open_page):
    policy = open_page().reload().headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'self'" and "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(service, open_page, gate, scheme):
    service.submit("mixed", {
        "fail": {"command": "echo no >&2; exit 1", "consumption": {"cpu": 0.1}},
        "skip": {"command": ["true"], "after": ["fail"]},
        "run": {"command": gate.wait},
        "later": {"command": ["true"], "after": ["run"]},
        "big": {"command": ["true"], "consumption": {"cpu": 2}},
    })
    page = open_page(scheme=scheme)
    expect(page.locator("#failures li")).to_have_count(1)
    expect(page.locator("#graphs .counts")).to_contain_text("1 running")
    assert page.evaluate(CONTRAST) == []
    page.locator("#graphs li .name").click()
    expect(page.locator("#graph-page .task")).to_have_count(5)
    assert page.evaluate(CONTRAST) == []
