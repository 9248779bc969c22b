"""The page follows what the service does, without a reload."""

import json

from playwright.sync_api import expect

from conftest import assert_not_reloaded, mark


def graph_row(page, name):
    return page.locator("#graphs li").filter(has_text=name)


def test_a_graph_is_followed_to_its_end(service, open_page, gate):
    page = open_page()
    mark(page)
    expect(page.locator("#graphs .empty")).to_contain_text("No graphs yet")
    expect(page.locator("#running .empty")).to_have_text("Nothing is running.")

    service.submit("release", {
        "decode": {"command": gate.wait, "consumption": {"cpu": 1, "ram": "64MiB"}},
        "measure": {"command": ["true"], "after": ["decode"]},
        "render": {"command": ["true"], "after": ["measure"]},
    })
    row = graph_row(page, "release")
    expect(row.locator(".state")).to_contain_text("running")
    expect(row.locator(".counts")).to_have_text("1 running · 2 waiting · 3 tasks in all")
    expect(row.locator(".percent")).to_have_text("0 %")
    expect(row.locator(".bar")).to_have_attribute("aria-label", "1 running, 2 waiting")
    running = page.locator("#running li")
    expect(running).to_have_count(1)
    expect(running.locator(".name")).to_have_text("decode")
    expect(running.locator(".consumption")).to_have_text("1 core · 64MiB")
    expect(running.locator(".agent")).not_to_be_empty()
    agent = page.locator("#agents li")
    expect(agent.locator(".use").filter(has_text="cpu")).to_contain_text("1 of 2 cores")
    expect(agent.locator(".use").filter(has_text="ram")).to_contain_text("64MiB of 1GiB")
    expect(page.locator('#summary [data-state="waiting"] dd')).to_have_text("2")
    expect(page).to_have_title("1 running · Kartograph")

    gate.open()
    expect(row.locator(".state")).to_contain_text("succeeded")
    expect(row.locator(".counts")).to_have_text("3 succeeded · 3 tasks in all")
    expect(row.locator(".time")).to_contain_text("took")
    expect(page.locator("#running .empty")).to_be_visible()
    expect(page.locator("#summary .note")).to_have_text("No graph is running.")
    expect(agent.locator(".use").filter(has_text="cpu")).to_contain_text("0 of 2 cores")
    expect(page).to_have_title("Kartograph")
    assert_not_reloaded(page)


def test_how_long_it_runs_goes_on_by_itself(service, open_page, gate):
    service.submit("slow", {"wait": {"command": gate.wait}})
    page = open_page()
    elapsed = page.locator("#running li .time")
    before = elapsed.text_content()
    expect(elapsed).not_to_have_text(before)
    after = elapsed.text_content()
    assert int(after.rstrip(" s")) > int(before.rstrip(" s")), (before, after)
    gate.open()
    expect(page.locator("#running .empty")).to_be_visible()


def test_a_failure_is_shown_with_the_end_of_its_log(service, open_page):
    page = open_page()
    expect(page.locator("#failures .empty")).to_have_text("No task has failed.")
    service.submit("release", {
        "load": {"command": "for i in $(seq 1 9); do echo line $i >&2; done; exit 3"},
        "render": {"command": ["true"], "after": ["load"]},
    })
    failure = page.locator("#failures li")
    expect(failure).to_have_count(1)
    expect(failure.locator(".name")).to_have_text("load")
    expect(failure).to_contain_text("release")
    expect(failure.locator("pre")).to_have_text("line 6\nline 7\nline 8\nline 9")
    failure.get_by_role("button", name="Show 5 lines before").click()
    expect(failure.locator("pre")).to_contain_text("line 1")
    row = graph_row(page, "release")
    expect(row.locator(".state")).to_contain_text("failed")
    expect(row.locator(".counts")).to_have_text("1 failed · 1 skipped · 2 tasks in all")

    failure.locator(".name").click()
    view = page.locator(".task-view")
    expect(view.locator("h2")).to_have_text("load")
    expect(view.locator(".attempt .state")).to_contain_text("exit status 3")
    expect(view.locator(".log pre")).to_contain_text("line 1\nline 2")
    expect(view.get_by_role("button", name="stderr")).to_have_attribute("aria-pressed", "true")


def test_pools_show_their_use_and_who_waits(service, open_page, gate):
    page = open_page()
    pool = page.locator("#pools li.pool")
    expect(pool).to_contain_text("db_connections")
    expect(pool).to_contain_text("0 of 2")
    expect(pool).to_contain_text("no task waits")
    load = {"command": gate.wait, "consumption": {"cpu": 0.1, "db_connections": 1}}
    graph = service.submit("loads", {name: load for name in "abcde"})
    expect(pool).to_contain_text("2 of 2")
    expect(pool).to_contain_text("3 tasks wait")
    expect(pool.locator(".holder")).to_have_count(2)
    expect(pool.locator(".holder").first).to_contain_text("holds 1")
    expect(page.locator("#running li .consumption").first).to_have_text(
        "0.1 cores · 1 db_connections")

    page.goto(f"{service.url}/#/graphs/{graph}?state=ready")
    tasks = page.locator("#graph-page .task")
    expect(tasks).to_have_count(3)
    expect(tasks.first.locator(".why")).to_contain_text("db_connections")
    page.get_by_role("link", name="all graphs").click()
    gate.open()
    expect(pool).to_contain_text("0 of 2")
    expect(pool).to_contain_text("no task waits")


def test_a_graphs_page_follows_its_tasks(service, open_page, gate):
    graph = service.submit("release", {
        "first": {"command": gate.wait},
        "second": {"command": "echo done; exit 1", "after": ["first"], "max_attempts": 2},
        "third": {"command": ["true"], "after": ["second"]},
    })
    page = open_page()
    mark(page)
    graph_row(page, "release").get_by_role("link").click()
    expect(page.locator("h1:visible")).to_have_text("release")
    assert page.url.endswith(f"#/graphs/{graph}")
    tasks = page.locator("#graph-page .task")
    expect(tasks.locator(".name")).to_have_text(["first", "second", "third"])
    expect(tasks.locator(".state .word")).to_have_text(["running", "waiting", "waiting"])
    expect(tasks.nth(1).locator(".why")).to_contain_text("first")

    gate.open()
    expect(tasks.locator(".state .word")).to_have_text(["succeeded", "failed", "skipped"])
    expect(tasks.nth(1).locator(".agent")).to_contain_text("attempt 2 on")
    page.get_by_role("navigation", name="Show tasks that are").get_by_role(
        "link", name="skipped").click()
    expect(tasks.locator(".name")).to_have_text(["third"])
    page.get_by_role("navigation", name="Show tasks that are").get_by_role(
        "link", name="running").click()
    expect(page.locator(".tasks .empty")).to_have_text("No task of this graph is running.")
    page.get_by_role("navigation", name="Show tasks that are").get_by_role(
        "link", name="all").click()
    tasks.nth(1).locator(".name").click()
    view = page.locator(".task-view")
    expect(view.locator(".attempt")).to_have_count(2)
    expect(view.locator(".facts")).to_contain_text("at most 2")
    of_second = json.loads(service.cli("status", graph, "second", "--json").stdout)
    sandbox = view.locator(".facts > div").filter(has=page.get_by_text("sandbox", exact=True))
    expect(sandbox.locator("dd")).to_have_text(of_second["attempts"][-1]["sandbox"])
    view.get_by_role("button", name="stdout").click()
    expect(view.locator(".log pre")).to_have_text("done\n")
    view.get_by_role("link", name="first").click()
    expect(view.locator("h2")).to_have_text("first")
    view.get_by_role("link", name="close").click()
    expect(view).to_be_hidden()
    assert_not_reloaded(page)


def test_a_log_is_followed_while_its_attempt_runs(service, open_page, folder, gate):
    more = folder / "more"
    graph = service.submit("talk", {"speak": {
        "command": f"echo one; while [ ! -e {more} ]; do sleep 0.05; done; echo two; {gate.wait}"}})
    page = open_page(f"/#/graphs/{graph}/tasks/speak")
    log = page.locator(".log")
    expect(log.locator("pre")).to_have_text("one\n")
    expect(log.locator(".note")).to_have_text("Following.")
    more.touch()
    expect(log.locator("pre")).to_have_text("one\ntwo\n")
    gate.open()
    expect(log.locator(".note")).to_have_text("")
    expect(page.locator(".task-view .attempt .state")).to_contain_text("succeeded")


def test_a_graph_that_is_not_there_is_said_so(open_page):
    page = open_page()
    open_page.errors_expected = True
    page.goto(page.url + "#/graphs/g999999")
    expect(page.locator(".tasks .note")).to_contain_text("There is no graph g999999")
