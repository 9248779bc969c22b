"""While the history cannot be written, the page says so in each of its views, and no longer."""

import re

import pytest
from playwright.sync_api import expect

from conftest import CONTRAST, assert_not_reloaded, mark
from small_disk import fill_up, mounted


@pytest.fixture
def disk(folder):
    with mounted(folder / "disk", 24) as path:
        yield path


@pytest.fixture
def state(disk):
    return disk / "state"


def submit_until_refused(service):
    """Submits graphs until there is no more room; returns what the command line said of the last."""
    tasks = {"first": {"command": ["sleep", "300"], "consumption": {"cpu": 0}}}
    for number in range(20):
        tasks |= {f"t{i}": {"command": ["true", f"{number} {i}" + "x" * 1000], "after": ["first"]}
                  for i in range(2000)}
        answer = service.try_submit(f"large-{number}", tasks)
        if answer.returncode != 0:
            return answer
    raise AssertionError("a full disk refuses nothing")


def test_a_history_that_cannot_be_written_is_said_in_every_view(disk, service, open_page, gate):
    graph = service.submit("before", {"wait": {"command": gate.wait}})
    views = ["/", f"/#/graphs/{graph}", f"/#/graphs/{graph}/tasks/wait"]
    pages = [open_page(view) for view in views]
    for page in pages:
        mark(page)
        expect(page.locator("#write-error")).to_be_hidden()
    expect(pages[0].locator("#running li")).to_have_count(1)

    filler = fill_up(disk)
    refused = submit_until_refused(service)
    assert refused.returncode == 3 and "the run history cannot be written" in refused.stderr, refused
    pages += [open_page(view) for view in views]  # Also where a page is opened while it is so.
    for page in pages:
        mark(page)
        banner = page.locator("#write-error")
        expect(banner).to_be_in_viewport()
        expect(banner).to_contain_text("Nothing is accepted or started. What runs goes on.")
        expect(banner).to_contain_text("the run history cannot be written")
        expect(banner).to_contain_text(re.compile(r"the disk of \S+ is full"))
        # Nothing else is wrong.
        expect(page.locator("#link-word")).to_have_text("live")
        expect(page.locator("#banner")).to_be_hidden()
        expect(page.locator("#cluster-away")).to_be_hidden()
        assert page.evaluate(CONTRAST) == []
    expect(pages[0].locator("#running li")).to_have_count(1)

    filler.unlink()
    for page in pages:
        expect(page.locator("#write-error")).to_be_hidden()
    late = service.submit("late", {"quick": {"command": ["true"]}})
    expect(pages[0].locator("#graphs li").filter(has_text=late).locator(".state")).to_contain_text(
        "succeeded")
    gate.open()
    expect(pages[1].locator(".graph-state")).to_contain_text("succeeded")
    for page in pages:
        assert_not_reloaded(page)
