"""How a browser gets in: with a link that works once, wherever that link was followed from."""

import contextlib

import pytest
from playwright.sync_api import expect

from conftest import PATIENCE


@contextlib.contextmanager
def stranger(browser):
    """A page of a browser that was never here."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE * 1000)
    yield context.new_page()
    context.close()


def test_without_a_session_the_page_says_how_to_get_one(browser, service):
    with stranger(browser) as page:
        assert page.goto(service.url + "/").status == 401
        expect(page.locator("code").first).to_have_text("kartograph page")


@pytest.mark.parametrize("way", ["typed", "file"])
def test_a_link_leads_to_the_page_and_leaves_no_code_behind(browser, service, folder, way):
    link = service.cli("page").stdout.strip()
    with stranger(browser) as page:
        if way == "typed":
            page.goto(link)
        else:
            # As the command line opens it. A strict cookie would not be sent along this navigation.
            file = folder / "link.html"
            file.write_text(f'<meta http-equiv="refresh" content="0; url={link}">')
            page.goto(f"file://{file}")
        expect(page.locator("#link-word")).to_have_text("live")
        assert page.url == service.url + "/"
        assert page.evaluate("document.cookie") == "", "scripts do not see it"
        page.reload()
        expect(page.locator("#link-word")).to_have_text("live")
    with stranger(browser) as page:
        assert page.goto(link).status == 401
        assert page.goto(service.url + "/").status == 401


def test_a_page_whose_session_has_ended_says_so(browser, service, open_page):
    page = open_page()
    open_page.errors_expected = True
    page.context.clear_cookies()
    service.stop()
    service.start()
    expect(page.locator("#banner-detail")).to_contain_text("kartograph page")
