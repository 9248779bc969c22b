"""Users that were added: what each may do with the command line and over HTTP, over TCP and by tokens."""

import json
import os
import re
import signal
import stat

import grpc
import pytest

from harness import cli, eventually, pb, task

DONE, REFUSED, WRONG = range(3)

GRAPH = """\
name: release
queue: results
tasks:
- name: load
  command: ["true"]
  environment: {PASSWORD: open sesame}
"""


class User:
    """Somebody on another machine, with an address and a token file."""

    def __init__(self, service, name, token):
        self.service, self.name = service, name
        self.token_file = service.folder / f"{name}.token"
        self.token_file.write_text(token)
        self.token_file.chmod(0o600)

    def cli(self, *words):
        return cli("--token-file", self.token_file, *words, server=self.service.grpc,
                   cwd=self.service.folder)

    def json(self, *words):
        answer = self.cli("--json", *words)
        assert answer.returncode == DONE, answer.stderr
        return json.loads(answer.stdout)

    def get(self, path):
        token = self.token_file.read_text()
        return self.service.get(path, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(name="service")
def fixture_service(start):
    service = start("--cpu", "2")
    (service.folder / "release.yaml").write_text(GRAPH)
    return service


def add(service, name, *options):
    added = service.cli("user", "add", name, *options)
    assert added.returncode == DONE, added.stderr
    assert f"as {name} (" in added.stderr and added.stdout.strip() not in added.stderr
    return User(service, name, added.stdout.strip())


def submitted(user):
    answer = user.json("submit", "release.yaml")
    assert user.cli("watch", answer["graphId"]).returncode == DONE
    return answer["graphId"]


def environment(user, graph):
    return user.json("status", graph, "load")["spec"]["command"]["environment"]


def test_each_does_what_the_role_allows(service):
    alice, bob = add(service, "alice"), add(service, "bob")
    reader, root = add(service, "rita", "--role", "reader"), add(service, "chief", "--role", "admin")
    assert alice.cli("user", "whoami").stdout == "alice (user)\n"
    graph = submitted(alice)
    assert environment(alice, graph) == {"PASSWORD": "open sesame"}
    for other in (bob, reader, root):
        assert environment(other, graph) == {"PASSWORD": "***"}
    assert json.loads(service.cli("--json", "status", graph, "load").stdout)[
        "spec"]["command"]["environment"] == {"PASSWORD": "***"}

    refused = bob.cli("forget", graph)
    assert refused.returncode != DONE and "alice" in refused.stderr, refused.stderr
    refused = reader.cli("submit", "release.yaml")
    assert refused.returncode != DONE and "`reader`" in refused.stderr
    refused = alice.cli("user", "add", "eve")
    assert refused.returncode != DONE and "`admin`" in refused.stderr
    assert root.cli("forget", graph).returncode != DONE, "its delivery is not acknowledged"
    assert "load" in root.cli("queue", "pop", "alice#results").stdout
    assert root.cli("forget", graph).returncode == DONE


def test_queues_and_lists_know_users(service):
    alice, bob = add(service, "alice"), add(service, "bob")
    hers, his = submitted(alice), submitted(bob)
    assert [row.split()[0] for row in alice.cli("queue", "list").stdout.splitlines()[1:]] == [
        "results", "bob#results"]
    refused = alice.cli("queue", "pop", "bob#results")
    assert refused.returncode != DONE and "administrators" in refused.stderr
    assert hers in alice.cli("queue", "pop", "results").stdout
    assert his in bob.cli("queue", "pop", "results").stdout
    listed = service.cli("list").stdout.splitlines()
    assert listed[0].endswith("USER") and listed[1].endswith("bob") and listed[2].endswith("alice")
    listed = service.cli("list", "--user", "alice").stdout.splitlines()
    assert len(listed) == 2 and listed[1].startswith(hers) and "USER" not in listed[0]
    assert json.loads(alice.get("/api/v1/graphs")[2])["graphs"][0]["user"] == "bob"


def test_they_outlive_a_restart_and_end_at_once(service):
    alice = add(service, "alice")
    assert stat.S_IMODE(os.stat(service.state / "users").st_mode) == 0o600
    assert alice.token_file.read_text() not in (service.state / "users").read_text()
    service.kill()
    service.start()
    alice = User(service, "alice", alice.token_file.read_text())
    graph = submitted(alice)
    assert alice.get("/api/v1/graphs")[0] == 200
    removed = service.cli("user", "remove", "alice")
    assert removed.returncode == DONE and "go on" in removed.stdout
    assert alice.get("/api/v1/graphs")[0] == 401
    assert alice.cli("list").returncode == WRONG
    assert service.cli("list", "--user", "alice").stdout.splitlines()[1].startswith(graph)
    again = add(service, "alice")
    assert environment(again, graph) == {"PASSWORD": "open sesame"}
    log = service.stderr()
    assert "user alice was removed by" in log and "user alice with the role user was added by" in log


def test_the_file_is_read_again_on_sighup(service):
    alice = add(service, "alice")
    users = service.state / "users"
    users.write_text("".join(line for line in users.read_text().splitlines(True)
                             if not line.startswith("alice")))
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: alice.cli("list").returncode == WRONG, "the token is refused")
    eventually(lambda: "the users were read again: none; before: alice (user)" in service.stderr(), "the log says so")
    users.write_text("alice king\n")
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: "users, line 1: must be a name" in service.stderr(), "the log says so")
    assert service.cli("list").returncode == DONE


def test_wrong_words_are_refused(service):
    for words, said in ((("user", "add", "a b"), "valid user name"), (("user", "add"), "USER"),
                        (("user", "add", "alice", "--role", "king"), "reader"),
                        (("user", "remove", "nobody"), 'no user "nobody"')):
        answer = service.cli(*words)
        assert answer.returncode in (REFUSED, WRONG) and said in answer.stderr, answer.stderr
    assert service.cli("user", "list").stdout.splitlines()[1].split()[1] == "admin"


def test_the_cluster_is_shared_out_between_users(start):
    service = start("--cpu", "4", "--share", "alice=2", "--share", "@release=3")
    (service.folder / "release.yaml").write_text(GRAPH)
    alice, bob = add(service, "alice"), add(service, "bob")
    for user, share in ((alice, ""), (bob, "share: release\n")):
        tasks = "".join(f"- {{name: t{i}, command: [sleep, '60']}}\n" for i in range(20))
        (service.folder / "many.yaml").write_text(f"name: many\n{share}tasks:\n{tasks}")
        assert user.cli("submit", "many.yaml").returncode == DONE

    def rows():
        lines = service.cli("status", "--users").stdout.splitlines()
        assert lines[0].split() == ["USER", "WEIGHT", "DUE", "HOLDS", "AVERAGE", "GRAPHS", "RUNNING",
                                    "CONSUMPTION", "LIMITS"]
        return {line.split()[0]: re.split(r"  +", line) for line in lines[1:]}

    eventually(lambda: {"alice", "@release"} == set(rows()), "both have graphs")
    assert rows()["alice"][1:3] == ["2", "40 %"] and rows()["@release"][1:3] == ["3", "60 %"]
    shares = json.loads(bob.cli("--json", "status", "--users").stdout)["shares"]
    assert [(share["name"], share["named"], share["weight"]) for share in shares] == [
        ("release", True, 3), ("alice", False, 2)]
    # Alice was alone at first; what ends goes to the other.
    for graph in ("g1", "g2"):
        assert service.cli("cancel", graph).returncode == DONE
    eventually(lambda: all(row[3] == "0 %" for row in rows().values()), "nothing is held")


def test_users_and_graphs_hold_no_more_than_their_limits(start):
    service = start("--cpu", "16", "--pool", "db=10", "--limit", "alice:running=2", "--limit", "*:db=3")
    alice, bob = add(service, "alice"), add(service, "bob")

    def submit(user, name, *, head="", consumption="{cpu: 1}"):
        tasks = "".join(f"- {{name: t{i}, command: [sleep, '60'], consumption: {consumption}}}\n" for i in range(5))
        (service.folder / "many.yaml").write_text(f"name: {name}\n{head}tasks:\n{tasks}")
        answer = user.cli("submit", "many.yaml")
        assert answer.returncode == DONE, answer.stderr
        return answer.stdout.strip()

    first = submit(alice, "first")
    second = submit(bob, "second", head="limits: {cpu: 3}\n")
    third = submit(bob, "third", consumption="{cpu: 1, db: 1}")

    def running(graph):
        return sum(state == "RUNNING" for state in service.states(graph).values())

    eventually(lambda: [running(graph) for graph in (first, second, third)] == [2, 3, 3],
               "each has what it may")
    for graph, why in ((first, "waits for the limit of alice: 2 of 2 tasks run"),
                       (second, "waits for its graph's limit of cpu: needs 1, 3 of 3 in use"),
                       (third, "waits for the limit of bob of db: needs 1, 3 of 3 in use")):
        assert why in service.cli("status", graph).stdout
        explained = service.call("ExplainTask", pb.ExplainTaskRequest(graph_id=graph, task_name="t4"))
        assert explained.reasons[0].kind == pb.Reason.LIMIT and explained.reasons[0].text == why
    rows = [line.split() for line in service.cli("status", "--users").stdout.splitlines()[1:]]
    assert [(row[0], row[-1]) for row in rows] == [("alice", "running=2"), ("bob", "db=3")]
    # They hold after a restart, and a limit that is raised lets in what waited.
    service.kill()
    service.start()
    eventually(lambda: [running(graph) for graph in (first, second, third)] == [2, 3, 3], "all are found")
    refused = service.cli("run", "--resource", "db=4", "true")
    assert refused.returncode == WRONG and "is more than its user may hold at once" in refused.stderr


@pytest.mark.parametrize(("limits", "said"), [
    ("{running: 0}", 'graph.limits["running"]'), ("{running: 1.5}", "whole number"),
    ("{cpu: 0}", "more than 0"), ("{'a b': 1}", "resource name"), ("{cpu: -1}", "limits")])
def test_limits_must_make_sense(service, limits, said):
    (service.folder / "odd.yaml").write_text(f"name: odd\nlimits: {limits}\ntasks: [{{name: a, command: ['true']}}]\n")
    refused = service.cli("submit", "odd.yaml", cwd=service.folder)
    assert refused.returncode in (WRONG, REFUSED) and said in refused.stderr, refused.stderr


def test_a_share_must_be_a_word(service):
    for name in ("a b", "@release", "x" * 33):
        (service.folder / "odd.yaml").write_text(
            f"name: odd\nshare: '{name}'\ntasks: [{{name: a, command: ['true']}}]\n")
        refused = service.cli("validate", "odd.yaml", cwd=service.folder)
        assert refused.returncode == WRONG and "odd.yaml:2:" in refused.stderr, refused.stderr
        with pytest.raises(grpc.RpcError) as error:
            service.submit([task("a")], share=name)
        assert "graph.share" in error.value.details()
