"""The page copes with long names, many graphs, narrow windows and the keyboard alone."""

import json

import pytest
from playwright.sync_api import expect

LONG = "a-name-that-goes-on-" * 12 + "to-the-end"


def assert_no_sideways_scrolling(page):
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [400, 800, 1280])
def test_nothing_sticks_out_sideways(service, open_page, gate, width):
    graph = service.submit(LONG, {
        LONG: {"command": f"printf '%0400d\\n' 7 >&2; exit 1",
               "consumption": {"cpu": 0.5, "ram": "64MiB", "db_connections": 1}},
        "R" * 256: {"command": f"echo {LONG}; {gate.wait}"},
        "last": {"command": ["true"], "after": [LONG]},
    })
    page = open_page(width=width, height=800)
    expect(page.locator("#failures pre")).to_contain_text("7")
    expect(page.locator("#running li")).to_have_count(1)
    assert_no_sideways_scrolling(page)
    page.goto(f"{service.url}/#/graphs/{graph}")
    expect(page.locator("#graph-page .task")).to_have_count(3)
    assert_no_sideways_scrolling(page)
    page.locator("#graph-page .task .name").first.click()
    expect(page.locator(".log pre")).to_contain_text("7")
    assert_no_sideways_scrolling(page)


def test_a_thousand_graphs_are_shown_in_pieces_and_found_by_name(service, open_page):
    states = ["RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
    everything = [{
        "graphId": f"g{number}", "spec": {"name": f"{LONG}-{number}"},
        "state": "GRAPH_STATE_" + states[number % 4],
        "counts": {"total": 10, "succeeded": 9, "running": 1},
        "submitTime": "2024-05-01T10:00:00Z",
        **({} if number % 4 == 0 else {"endTime": "2024-05-01T11:00:00.500Z"}),
    } for number in range(1000, 0, -1)]

    def answer(route):
        query = dict(pair.split("=") for pair in route.request.url.partition("?")[2].split("&"))
        wanted = [graph for graph in everything
                  if graph["state"].endswith(query.get("state", "").upper())]
        begin, size = int(query.get("page_token", 0)), int(query["page_size"])
        rest = begin + size < len(wanted)
        route.fulfill(body=json.dumps({"graphs": wanted[begin:begin + size],
                                       "nextPageToken": str(begin + size) if rest else ""}))

    page = open_page(before=lambda page: page.route("**/api/v1/graphs?*", answer))
    rows = page.locator("#graphs li")
    expect(rows).to_have_count(15)
    expect(page.get_by_role("button", name="running 250")).to_be_visible()
    expect(rows.first.locator(".state")).to_contain_text("running")
    more = page.locator("#graphs .more")
    expect(more).to_contain_text("and older ones")
    more.click()
    expect(rows).to_have_count(65)
    page.get_by_label("Show graphs with this in their name").fill("-996")
    expect(rows).to_have_count(1)
    page.get_by_label("Show graphs with this in their name").fill("no such graph")
    expect(page.locator("#graphs .empty")).to_have_text("No graph has this in its name.")
    page.get_by_label("Show graphs with this in their name").fill("")
    page.get_by_role("button", name="cancelled").click()
    expect(rows.locator(".state .word").first).to_have_text("cancelled")
    for shown in (65, 115, 165, 215, 250):
        more.click()
        expect(rows).to_have_count(shown)
    expect(more).to_be_hidden()
    assert_no_sideways_scrolling(page)


def test_the_keyboard_reaches_everything(service, open_page):
    service.submit("release", {"write": {"command": "echo hello"}})
    page = open_page()
    row = page.locator("#graphs li")
    expect(row.locator(".state")).to_contain_text("succeeded")

    def tab_to(target):
        for _ in range(60):
            page.keyboard.press("Tab")
            if target.evaluate("(node) => node === document.activeElement"):
                return
        raise AssertionError(f"Tab does not reach {target}")

    tab_to(page.get_by_role("button", name="failed", exact=True))
    page.keyboard.press("Enter")
    expect(page.locator("#graphs .empty")).to_have_text("No graph has failed.")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(row).to_have_count(1)
    tab_to(row.get_by_role("link"))
    page.keyboard.press("Enter")
    expect(page.locator("#graph-page h1")).to_be_focused()
    tab_to(page.locator("#graph-page .task .name"))
    page.keyboard.press("Enter")
    expect(page.locator(".task-view h2")).to_be_focused()
    expect(page.locator(".log pre")).to_have_text("hello\n")
    tab_to(page.locator(".log pre"))
    page.go_back()
    expect(page.locator(".task-view")).to_be_hidden()
    page.go_back()
    expect(page.locator("#overview")).to_be_visible()
