"""Every command of the command line, its exit codes, and its JSON."""

import json
import os
import pty
import re
import subprocess
import threading

import pytest

from harness import KARTOGRAPH, cli, eventually, one_document, pb, state_name, task

DONE, NOT_SUCCEEDED, WRONG, UNREACHABLE = 0, 1, 2, 3
NOBODY = "127.0.0.1:1"


def graph_file(folder, text, name="graph.yaml"):
    path = folder / name
    path.write_text(text)
    return path


GOOD = """\
name: breakfast
defaults:
  consumption:
    cpu: 0.5
    ram: 64MiB
tasks:
  - name: water
    command: [sh, -c, "echo boiling; printf hot > $KARTOGRAPH_RESULT"]
  - name: tea
    command: echo "tea for $GUEST" && echo careful >&2
    after: [water]
    environment:
      GUEST: Mercator
    timeout: 1m
    max_attempts: 2
    priority: 3
"""
BAD = """\
name: accident
tasks:
  - name: fall
    command: [sh, -c, "echo ouch >&2; exit 9"]
  - name: limp
    command: [true]
    after: [fall]
  - name: rest
    command: ["true"]
"""
LONG = """\
name: patience
tasks:
  - name: wait
    command: [sleep, "1000"]
  - name: then
    command: ["true"]
    after: [wait]
"""


def submit(shared, folder, text=GOOD):
    submitted = shared.cli("submit", graph_file(folder, text))
    assert submitted.returncode == DONE, submitted.stderr
    graph = submitted.stdout.strip()
    assert submitted.stdout == graph + "\n"  # the id, alone on a line
    return graph


def test_submit_prints_the_id_alone(shared, folder):
    graph = submit(shared, folder)
    ended = shared.wait_for_graph(graph)
    assert ended.spec.name == "breakfast" and ended.state == pb.GRAPH_STATE_SUCCEEDED
    tea = shared.task(graph, "tea")
    assert dict(tea.consumption) == {"cpu": 0.5, "ram": 64 << 20}
    assert tea.spec.timeout.seconds == 60 and tea.spec.max_attempts == 2 and tea.spec.priority == 3
    assert tea.spec.command.shell and not tea.spec.command.arguments
    assert shared.log_of(graph, "tea") == b"tea for Mercator\n"


def test_submit_and_wait_shows_progress_on_stderr_and_tells_the_end_by_its_exit_code(shared, folder):
    good = shared.cli("submit", graph_file(folder, GOOD), "--wait")
    assert good.returncode == DONE, good.stderr
    assert good.stdout.split() and good.stdout.split()[0].startswith("g")
    assert good.stderr and "\x1b" not in good.stderr and "\r" not in good.stderr  # plain in a pipe
    bad = shared.cli("submit", graph_file(folder, BAD), "--wait")
    assert bad.returncode == NOT_SUCCEEDED
    assert "fall" in bad.stderr


def test_submit_reads_json_as_well_and_standard_input(shared, folder):
    text = json.dumps({"name": "json", "tasks": [{"name": "a", "command": ["true"]}]})
    graph = shared.cli("submit", graph_file(folder, text, "graph.json"))
    assert graph.returncode == DONE, graph.stderr
    assert shared.wait_for_graph(graph.stdout.strip()).spec.name == "json"


def test_submit_as_json_is_one_document(shared, folder):
    plain = one_document(shared.cli("submit", graph_file(folder, GOOD), "--json").stdout)
    assert plain["graphId"]
    waited = shared.cli("submit", graph_file(folder, GOOD), "--wait", "--json")
    document = one_document(waited.stdout)
    assert document["graphId"] and waited.returncode == DONE


def test_a_file_over_what_the_service_has_is_a_wrong_file(shared, folder):
    greedy = shared.cli("submit", graph_file(folder, GOOD.replace("cpu: 0.5", "cpu: 500")))
    assert greedy.returncode == WRONG
    # As `validate` reports; what the defaults say, at each task.
    assert ": tasks[0].consumption.cpu: " in greedy.stderr
    assert ": tasks[1].consumption.cpu: " in greedy.stderr


def test_status_tells_graph_and_tasks(shared, folder):
    graph = submit(shared, folder, BAD)
    shared.wait_for_graph(graph)
    status = shared.cli("status", graph)
    assert status.returncode == DONE
    assert "accident" in status.stdout and "fall" in status.stdout and "9" in status.stdout
    document = one_document(shared.cli("status", graph, "--json").stdout)
    text = json.dumps(document)
    assert graph in text and "GRAPH_STATE_FAILED" in text
    tasks = one_document(shared.cli("status", graph, "--json", "--tasks").stdout)
    assert "exitStatus" in json.dumps(tasks) and "TASK_STATE_SKIPPED" in json.dumps(tasks)


def test_status_without_a_graph_tells_of_the_cluster(shared):
    status = shared.cli("status")
    assert status.returncode == DONE and "licences" in status.stdout
    document = one_document(shared.cli("status", "--json").stdout)
    assert "licences" in json.dumps(document)


def test_list_tells_of_graphs(shared, folder):
    graph = submit(shared, folder)
    shared.wait_for_graph(graph)
    listed = shared.cli("list")
    assert listed.returncode == DONE
    assert graph in listed.stdout and "breakfast" in listed.stdout
    document = one_document(shared.cli("list", "--json").stdout)
    assert graph in [g["graphId"] for g in document["graphs"]]


def test_watch_follows_until_the_end(shared, folder):
    good = submit(shared, folder)
    watched = shared.cli("watch", good)
    assert watched.returncode == DONE
    bad = submit(shared, folder, BAD)
    assert shared.cli("watch", bad).returncode == NOT_SUCCEEDED
    one_document(shared.cli("watch", bad, "--json").stdout)


def test_watching_on_a_terminal_redraws_one_line(shared, folder):
    leader, follower = pty.openpty()
    submitted = subprocess.Popen(
        [KARTOGRAPH, "submit", str(graph_file(folder, GOOD)), "--wait"], stdin=subprocess.DEVNULL,
        stdout=follower, stderr=follower,
        env={**os.environ, "KARTOGRAPH_SERVER": shared.server, "TERM": "xterm", "COLUMNS": "80"})
    os.close(follower)
    said = b""
    try:
        while chunk := os.read(leader, 4096):
            said += chunk
    except OSError:
        pass  # a terminal whose other side is closed ends so
    os.close(leader)
    assert submitted.wait(60) == DONE
    assert b"\r" in said and b"2/2" in said.replace(b" ", b"")


def test_logs_print_what_the_task_wrote(shared, folder):
    graph = submit(shared, folder)
    shared.wait_for_graph(graph)
    logs = shared.cli("logs", graph, "tea")
    assert logs.returncode == DONE and "tea for Mercator\n" in logs.stdout
    assert "careful\n" in shared.cli("logs", graph, "tea", "--stderr").stdout


def test_logs_follow_until_the_task_ends(shared, folder):
    gate = folder / "gate"
    graph = submit(shared, folder, f"""\
name: slow
tasks:
  - name: a
    command: "echo first; while [ ! -e {gate} ]; do sleep 0.02; done; echo last"
""")
    shared.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    result = []
    follower = threading.Thread(
        target=lambda: result.append(shared.cli("logs", graph, "a", "--follow")))
    follower.start()
    gate.touch()
    follower.join(60)
    assert result[0].returncode == DONE and result[0].stdout == "first\nlast\n"


def test_cancel_of_a_task_and_of_a_graph(shared, folder):
    graph = submit(shared, folder, LONG)
    assert shared.cli("cancel", graph, "then").returncode == DONE
    eventually(lambda: state_name(shared.task(graph, "then").state) == "CANCELLED", "it is cancelled")
    cancelled = shared.cli("cancel", graph, "--json")
    assert cancelled.returncode == DONE and one_document(cancelled.stdout)["tasks"] == 1
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_CANCELLED
    again = shared.cli("cancel", graph)
    assert again.returncode == DONE and "has ended" in again.stdout
    assert shared.cli("watch", graph).returncode == NOT_SUCCEEDED


def test_nothing_to_do_is_said_so(shared):
    graph = shared.submit([task("a")])
    shared.wait_for_graph(graph)
    assert "nothing to retry: every task of graph" in shared.cli("retry", graph).stdout
    still_open = shared.submit([task("a")], open=True)
    eventually(lambda: state_name(shared.task(still_open, "a").state) == "SUCCEEDED", "it has ended")
    cancelled = shared.cli("cancel", still_open)
    assert "it is closed now" in cancelled.stdout and "nothing to cancel" in cancelled.stdout
    assert shared.wait_for_graph(still_open).state == pb.GRAPH_STATE_SUCCEEDED


@pytest.mark.parametrize("arguments", [
    ("status", ""), ("watch", ""), ("cancel", ""), ("cancel", "g1", ""), ("retry", ""),
    ("logs", "g1", ""), ("logs", "", "a"), ("list", "--state", ""), ("submit", ""),
    ("submit", "--name", "", "-"), ("submit", "--queue", "", "-"), ("validate", ""),
    ("forget", ""), ("queue", "pop", ""), ("queue", "purge", ""),
])
def test_an_empty_argument_as_of_an_empty_variable_is_refused(arguments):
    refused = cli(*arguments, server=NOBODY)
    assert refused.returncode == WRONG and "must not be empty" in refused.stderr


@pytest.mark.parametrize("words, said", [
    (["stauts"], 'did you mean "status"?'), (["ls"], 'did you mean "list"?'),
    (["kill", "g1"], 'did you mean "cancel"?'), (["rm", "g1"], 'did you mean "forget"?'),
    (["resume"], 'did you mean "retry"?'), (["lint"], 'did you mean "validate"?'),
    (["queue", "rm"], 'did you mean "purge"?'), (["user", "rm"], 'did you mean "remove"?'),
    (["version"], 'did you mean "--version"?'), (["server"], "kartographd"),
    (["--json", "sumbit", "x"], 'did you mean "submit"?'), (["conquer"], "there are submit, status"),
    (["queue", "lst"], '"lst" is not a command of kartograph queue; did you mean "list"?'),
    (["queue", "--json", "prge", "q"], 'did you mean "purge"?'), (["help", "queue", "pp"], 'did you mean "pop"?'),
    (["queue", "conquer"], "there are list, pop, purge"), (["queue"], "give a command of kartograph queue: list, pop, purge"),
])
def test_a_word_that_is_no_command_gets_advice(words, said):
    refused = cli(*words, server=NOBODY)
    assert refused.returncode == WRONG and said in refused.stderr


@pytest.mark.parametrize("words, said", [
    (["logs", "g1", "a", "--follw"], '"--follw" is not an option of kartograph logs; did you mean "--follow"?'),
    (["--vresion"], '"--vresion" is not an option of kartograph; did you mean "--version"?'),
    (["list", "--stat=running"], 'did you mean "--state"?'), (["run", "--cpus", "2", "true"], 'did you mean "--cpu"?'),
    (["watch", "g1", "--floppies"], "the nearest are --"), (["close", "g1", "g2"], 'close does not take "g2"'),
    (["run", "--time", "3", "true"], 'did you mean "--timeout"?'), (["queue", "pop", "q", "--lmit", "4"], 'did you mean "--limit"?'),
    (["queue", "list", "--wiat"], '"--wiat" is not an option of kartograph queue list; the nearest are --'),
    (["submit", "--name"], '--name needs a value; see "kartograph submit --help"'), (["list", "--limit", "0"], '--limit: "0" is not a whole number from 1 to'),
    (["list", "--state", "runing"], 'did you mean "running"?'), (["completion", "bsh"], 'did you mean "bash"?'),
    (["queue", "pop"], 'QUEUE is required; see "kartograph queue pop --help"'),
    (["submit"], 'FILE is required; see "kartograph submit --help"'), ([], "give a command: submit, "),
    (["run", "--gpu", "1", "true"], 'did you mean "--resource gpu=1"?'), (["run", "--gpus=2", "true"], '"--resource gpu=2"?'),
    (["run", "--memory", "1GiB", "true"], 'did you mean "--ram"?'), (["run", "--mem=1GiB", "true"], 'did you mean "--ram"?'),
    (["run", "--cores", "2", "true"], 'did you mean "--cpu"?'), (["run", "--threads", "2", "true"], 'did you mean "--cpu"?'),
    (["run", "--retries", "2", "true"], 'did you mean "--max-attempts" (one more than the retries)?'),
    (["run", "--cwd", "/", "true"], 'did you mean "--directory"?'), (["run", "--workdir", "/", "true"], 'did you mean "--directory"?'),
    (["submit", "x", "--dry-run"], "kartograph plan FILE"), (["status", "g1", "--watch"], "kartograph watch GRAPH"),
    (["run", "--pool", "db=1", "true"], 'did you mean "--resource"?'),
    (["run", "-c", "x"], '"-c" is not an option of kartograph run; for a shell line: kartograph run sh -c LINE'),
    (["logs", "nine", "to", "-n", "3"], '"-n" is not an option of kartograph logs; did you mean "--tail"?'),
    (["list", "-n", "3"], 'did you mean "--limit"?'), (["submit", "-w", "x"], 'did you mean "--wait"?'),
    (["watch", "-x", "g1"], '"-x" is not an option of kartograph watch; see "kartograph watch --help"'),
    (["list", "--limit", "1", "--limit", "2"], '--limit is given more than once; give it once; see "kartograph list --help"'),
    (["run", "--sandbox", "--directory", "/", "true"], "exclude each other; give one of them"),
    (["list", "--server", "127.0.0.1:abc"], '--server 127.0.0.1:abc: "abc" is not a valid port; give a number from 1 to 65535'),
    (["list", "--server", "127.0.0.1:65536"], '"65536" is not a valid port'),
])
def test_an_option_that_there_is_not_gets_advice(words, said):
    refused = cli(*words, server=NOBODY)
    assert refused.returncode == WRONG and said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_the_command_of_run_keeps_its_options(shared):
    ran = shared.cli("run", "--cpu", "0.5", "echo", "--follw", "--nonsense=1")
    assert ran.returncode == DONE and ran.stdout == "--follw --nonsense=1\n"
    assert shared.cli("run", "--priority", "-1", "true").returncode == DONE


def test_a_mistyped_graph_or_task_gets_a_suggestion(shared, folder):
    graph = submit(shared, folder, GOOD.replace("breakfast", "second_breakfast"))
    for words, said in ((["watch", "secnd_breakfast"], '; did you mean "second_breakfast"?'),
                        (["logs", graph, "watr"], '; did you mean "water"?'),
                        (["status", graph, "watr"], '; did you mean "water"?'),
                        (["result", graph, "watr"], '; did you mean "water"?'),
                        (["cancel", graph, "watr"], '; did you mean "water"?'),
                        (["cancel", graph, "water", "watr"], '; did you mean "water"?'),
                        (["retry", graph, "watr"], '; did you mean "water"?')):
        refused = shared.cli(*words)
        assert refused.returncode == WRONG and said in refused.stderr, (words, refused)


def test_an_unknown_pool_is_reported_at_its_place_with_a_suggestion(shared, folder):
    path = graph_file(folder, GOOD.replace("    after: [water]", "    after: [water]\n    consumption: {cup: 1}"))
    refused = shared.cli("submit", path)
    assert refused.returncode == WRONG
    line = 1 + path.read_text().splitlines().index("    consumption: {cup: 1}")
    assert f':{line}:24: tasks[1].consumption.cup: ' in refused.stderr, refused.stderr
    assert 'did you mean "cpu"?' in refused.stderr


def test_json_that_is_not_yaml_runs(shared, folder):
    path = folder / "odd.json"
    path.write_bytes(b'{"tasks": [{"name": "a", "command": ["printf", "%s", "\x7f\xc2\x85 \xe2\x80\xa8 \\ud83d\\ude00"]}]}')
    submitted = shared.cli("submit", path, "--wait")
    assert submitted.returncode == DONE, submitted.stderr
    written = shared.cli("logs", submitted.stdout.strip(), "a").stdout
    assert written == "\x7f\x85 \u2028 \U0001F600"


def test_version_and_help_need_no_service():
    assert re.fullmatch(r"kartograph \d+\.\d+\.\d+\n", cli("--version").stdout)
    assert cli("help").stdout == cli("--help").stdout != ""
    assert cli("--state-folder", "X", "help", "submit").stdout == cli("submit", "--help").stdout != ""
    assert cli("--json", "queue", "help", "pop").stdout == cli("help", "queue", "pop").stdout != ""
    assert cli("help", "logs").stdout == cli("logs", "--help").stdout != cli("help").stdout


def test_the_servers_address_may_lack_its_port(shared):
    refused = cli("status", server="http://127.0.0.1:50061")
    assert refused.returncode == WRONG and "HOST:PORT" in refused.stderr
    for name in ("nowhere.invalid", "nowhere.invalid:"):
        assert "nowhere.invalid:50061 cannot be reached" in cli("status", server=name).stderr
    page = cli("status", server=shared.http)
    assert page.returncode == UNREACHABLE and "port of the status page" in page.stderr


def test_a_name_means_the_graph_that_runs_where_something_is_changed(start, folder):
    service = start()
    first = submit(service, folder, LONG)
    done = service.submit([pb.TaskSpec(name="a", command=pb.Command(shell="true"))], name="patience")
    service.wait_for_graph(done)
    cancelled = service.cli("cancel", "patience", "then")
    assert cancelled.returncode == DONE and first in cancelled.stdout
    second = submit(service, folder, LONG)
    refused = service.cli("cancel", "patience")
    assert refused.returncode == WRONG and first in refused.stderr and second in refused.stderr
    for graph in (first, second):
        assert service.cli("cancel", graph).returncode == DONE
    service.wait_for_graph(first)
    service.wait_for_graph(second)
    assert "nothing to cancel" in service.cli("cancel", "patience").stdout
    looks_like_an_id = service.cli("submit", graph_file(folder, LONG), "--name", "g17")
    assert looks_like_an_id.returncode == WRONG and "looks like the id" in looks_like_an_id.stderr


def test_a_long_shell_line_runs_and_a_long_argument_is_refused(shared, folder):
    text = "# " + "x" * 300_000
    path = graph_file(folder, "tasks:\n  - name: a\n    command: |\n"
                              f"      {text}\n      echo long\n")
    assert cli("validate", path).returncode == DONE
    graph = shared.cli("submit", path, "--wait").stdout.split()[0]
    assert shared.log_of(graph, "a") == b"long\n"
    # With another shell, whose options hold as ever.
    path = graph_file(folder, "tasks:\n" + "".join(
        f"  - name: {name}\n    shell: {shell}\n    command: |\n      {text}\n      {line}\n"
        for name, shell, line in (("bash", "[bash, -euo, pipefail, -c]", "x=(a b); echo ${x[1]}; false; echo on"),
                                  ("cluster", "[bash, -euc]", "echo $0; false | true; echo on; [ $unset ]; echo on"),
                                  ("python", "[/usr/bin/python3, -c]", "import sys; print(len(sys.argv)); sys.exit(3)"))))
    assert cli("validate", path).returncode == DONE
    graph = shared.cli("submit", path, "--wait").stdout.split()[0]
    assert shared.log_of(graph, "bash") == b"b\n"
    assert shared.log_of(graph, "cluster").endswith(b"command.sh\non\n")
    assert shared.log_of(graph, "python") == b"1\n"
    assert [shared.task(graph, name).attempts[0].exit_status for name in ("bash", "cluster", "python")] == [1, 1, 3]
    assert shared.cli("status", graph, "bash").stdout.count("bash -euo pipefail -c '# xxx") == 1
    path = graph_file(folder, f"tasks: [{{name: a, shell: [ssh, host], command: '{text}'}}]\n")
    refused = cli("validate", path)
    assert refused.returncode == WRONG and "has 300002 bytes" in refused.stderr
    path = graph_file(folder, f"tasks: [{{name: a, command: [echo, '{text}']}}]\n")
    refused = cli("validate", path)
    assert refused.returncode == WRONG and "has 300002 bytes" in refused.stderr


def test_retry_runs_what_failed_again(shared, folder):
    mark = folder / "mark"
    graph = submit(shared, folder, BAD.replace("exit 9", f"test -e {mark}"))
    shared.wait_for_graph(graph)
    mark.touch()
    retried = shared.cli("retry", graph)
    assert retried.returncode == DONE and "2" in retried.stdout + retried.stderr
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    one_document(shared.cli("retry", graph, "--json").stdout)


def test_a_running_graph_has_nothing_to_retry_until_something_of_it_has_failed(shared, folder):
    gate = folder / "gate"
    graph = submit(shared, folder, BAD.replace('["true"]', f"[sh, -c, 'while [ ! -e {gate} ]; do sleep 0.02; done']")
                   .replace("exit 9", f"test -e {folder}/mark"))
    shared.wait_for_task(graph, "fall", pb.TASK_STATE_FAILED)
    refused = shared.cli("retry", graph)
    assert refused.returncode == NOT_SUCCEEDED
    assert f"accident ({graph}) is still running; " in refused.stderr
    assert f"kartograph retry {graph} TASK" in refused.stderr
    gate.touch()
    shared.wait_for_graph(graph)
    again = submit(shared, folder, LONG)
    shared.wait_for_task(again, "wait", pb.TASK_STATE_RUNNING)
    nothing = shared.cli("retry", again)
    assert nothing.returncode == DONE
    assert f"nothing to retry: patience ({again}) is running, and none of its tasks has failed" in nothing.stdout
    assert one_document(shared.cli("retry", again, "--json").stdout)["tasks"] == 0
    shared.cli("cancel", again)


def test_validate_needs_no_service_and_tells_all_problems_with_their_places(folder):
    assert cli("validate", graph_file(folder, GOOD), server=NOBODY).returncode == DONE
    wrong = graph_file(folder, """\
name: wrong
tasks:
  - name: a
    command: [run]
    consumption:
      ram: 5 parsecs
      cpu: -1
  - name: a
    command: []
  - name: b
    comand: ["true"]
    after: [nobody]
  - name: c
    command: ["true"]
    after: [d]
  - name: d
    command: ["true"]
    after: [c]
    timeout: soon
    max_attempts: .inf
""")
    completed = cli("validate", wrong, server=NOBODY)
    assert completed.returncode == WRONG
    for place, words in ((6, "parsecs"), (7, "-1"), (8, "a"), (9, "command"), (11, "comand"),
                         (12, "nobody"), (19, "soon")):
        found = [line for line in completed.stderr.splitlines() if f":{place}:" in line]
        assert any(words in line for line in found), (place, words, completed.stderr)
    assert "cycle" in completed.stderr
    # As JSON it is one document with all of them.
    document = one_document(cli("validate", wrong, "--json", server=NOBODY).stdout)
    assert len(document["problems"]) >= 8
    submitted = cli("submit", wrong, server=NOBODY)
    assert submitted.returncode == WRONG  # before anybody is asked


@pytest.mark.parametrize("text, words", [
    ("", "task"), ("[1, 2", ":1:6: invalid JSON"), ("name: x\n", "tasks"), ("tasks: 5\n", "tasks"),
    ("name: [x]\ntasks: []\n", "name"), ("\x00\x01", ""),
    ("name: a\ntasks:\n  - name: b\n    command: [\"true\"]\n    consumption: {cpu: .nan}\n", "cpu"),
    ("name: a\ntasks:\n  - name: b\n    command: [\"true\"]\n    consumption: {ram: .inf}\n", "ram")])
def test_a_wrong_file_is_refused_with_its_place(folder, text, words):
    path = graph_file(folder, text)
    completed = cli("validate", path, server=NOBODY)
    assert completed.returncode == WRONG
    assert str(path) in completed.stderr and words in completed.stderr


def test_a_file_that_is_not_there_is_wrong_use(folder):
    completed = cli("validate", folder / "none.yaml", server=NOBODY)
    assert completed.returncode == WRONG and "none.yaml" in completed.stderr
    assert cli("validate", folder, server=NOBODY).returncode == WRONG  # a folder


@pytest.mark.parametrize("words", [
    [], ["conquer"], ["submit"], ["status", "a", "b", "c"], ["logs"], ["--nonsense"],
    ["cancel"], ["watch"], ["retry"], ["submit", "--scale"]])
def test_wrong_use_says_so(words):
    completed = cli(*words, server=NOBODY)
    assert completed.returncode == WRONG and completed.stderr.strip()


def test_help_is_no_error_and_names_every_command():
    completed = cli("--help")
    assert completed.returncode == DONE
    for command in ("submit", "run", "status", "cancel", "close", "watch", "list", "logs", "result",
                    "validate", "retry", "completion"):
        assert command in completed.stdout
        assert cli(command, "--help").returncode == DONE


def test_an_unknown_graph_or_task_is_said_so(shared, folder):
    graph = submit(shared, folder)
    for words, unknown in ((["status", "g999999"], "g999999"), (["cancel", "g999999"], "g999999"),
                           (["watch", "g999999"], "g999999"), (["logs", "g999999", "a"], "g999999"),
                           (["logs", graph, "nobody"], "nobody"), (["retry", "g999999"], "g999999"),
                           (["cancel", graph, "nobody"], "nobody")):
        completed = shared.cli(*words)
        assert completed.returncode == WRONG, (words, completed)
        assert f'"{unknown}"' in completed.stderr, (words, completed)


def test_a_service_that_cannot_be_reached_is_told_by_its_address(folder):
    path = graph_file(folder, GOOD)
    for words in (["submit", path], ["status"], ["list"], ["cancel", "g1"], ["watch", "g1"],
                  ["logs", "g1", "a"], ["logs", "g1"], ["retry", "g1"], ["run", "true"],
                  ["close", "g1"], ["result", "g1", "a"], ["status", "g1", "a"]):
        completed = cli(*words, server=NOBODY)
        assert completed.returncode == UNREACHABLE, (words, completed)
        said = completed.stderr.strip().splitlines()
        if words[0] in ("submit", "cancel", "retry", "run", "close"):  # these are tried again
            waits = rf"kartograph: the service at {NOBODY} is unavailable; trying again for \d s"
            assert re.fullmatch(waits, said.pop(0)), completed.stderr
        assert NOBODY in said[0] and len(said) <= 2, completed.stderr


def test_the_flag_wins_over_the_environment(shared):
    assert cli("list", "--server", shared.server, server=NOBODY).returncode == DONE
    assert cli("--server", shared.server, "list", server=NOBODY).returncode == DONE
    assert cli("list", "--server", NOBODY, server=shared.server).returncode == UNREACHABLE


def test_a_closed_pipe_is_no_crash(shared, folder):
    graph = shared.cli("submit", graph_file(folder, """\
name: loud
tasks:
  - name: a
    command: "yes | head -c 3000000"
"""), "--wait").stdout.split()[0]
    reader = subprocess.Popen([KARTOGRAPH, "logs", graph, "a"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE,
                              env={**os.environ, "KARTOGRAPH_SERVER": shared.server})
    reader.stdout.read(10)
    reader.stdout.close()
    assert reader.wait(60) != -6  # not an abort
    assert b"terminate" not in reader.stderr.read()
    reader.stderr.close()
