"""What a person does at a terminal beside submitting graphs: run, close, logs, result, completion."""

import json
import os
import signal
import subprocess

import pytest
from harness import KARTOGRAPH, cli, eventually, pb, state_name, task

DONE, NOT_SUCCEEDED, WRONG, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130
NOBODY = "127.0.0.1:1"


def usual_signals():
    """For the child: the tests themselves may run under nohup or in a shell's background."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start_run(service, *words):
    return subprocess.Popen([KARTOGRAPH, "run", *words], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            preexec_fn=usual_signals,
                            env={**os.environ, "KARTOGRAPH_SERVER": service.server})


def newest(service):
    return service.call("ListGraphs", pb.ListGraphsRequest(page_size=1)).graphs[0].graph_id


def test_run_passes_on_both_streams_and_the_exit_status(shared):
    ran = shared.cli("run", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (ran.returncode, ran.stdout, ran.stderr) == (3, "out\n", "err\n")
    assert shared.cli("run", "true").returncode == DONE
    # Without the --, too: what follows the program is its own.
    ran = shared.cli("run", "--cpu=0.5", "--env", "A=1", "sh", "-c", 'echo "$A $1"', "--json", "--cpu")
    assert (ran.returncode, ran.stdout) == (DONE, "1 --cpu\n"), ran.stderr
    killed = shared.cli("run", "--", "sh", "-c", "kill -9 $$")
    assert killed.returncode == 128 + 9 and "signal" in killed.stderr


def test_run_exits_as_a_shell_where_there_is_no_program(shared, folder):
    missing = shared.cli("run", "no-such-program")
    assert missing.returncode == 127 and "No such file" in missing.stderr
    assert shared.cli("run", "/etc/passwd").returncode == 126
    for directory in (".", "/"):
        refused = shared.cli("run", directory)
        assert refused.returncode == 126 and refused.stderr == f"kartograph: {directory}: is a directory\n"
    line = shared.cli("run", "echo a | wc")
    assert line.returncode == 127 and "kartograph run -- sh -c 'echo a | wc'" in line.stderr
    assert shared.cli("run", "--sandbox", "--directory", folder, "pwd").returncode == WRONG


def test_run_takes_what_a_task_can_be_given(shared, folder):
    ran = shared.cli("run", "--cpu", "0.5", "--ram", "64MiB", "--env", "GUEST=Mercator", "--env",
                     "EMPTY=", "--directory", folder, "--name", "tea", "--timeout", "1m",
                     "--max-attempts", "2", "--", "sh", "-c", 'echo "$GUEST,$EMPTY,$PWD"', "")
    assert (ran.returncode, ran.stdout) == (DONE, f"Mercator,,{folder}\n"), ran.stderr
    spec = shared.task(newest(shared), "tea").spec
    assert spec.consumption == {"cpu": 0.5, "ram": 64 << 20}
    assert spec.max_attempts == 2 and spec.timeout.seconds == 60
    assert spec.command.arguments[-1] == ""


def test_run_runs_where_it_was_called_or_in_a_sandbox(shared, folder):
    where = subprocess.run([KARTOGRAPH, "run", "pwd"], cwd=folder, stdout=subprocess.PIPE, text=True,
                           env={**os.environ, "KARTOGRAPH_SERVER": shared.server}, check=True)
    assert where.stdout == f"{folder}\n"
    assert "sandboxes" in shared.cli("run", "--sandbox", "pwd").stdout


@pytest.mark.parametrize("words, said", [
    ([], "COMMAND"), (["--cpu", "many", "true"], "many"), (["--resource", "gpu", "true"], "NAME=QUANTITY"),
    (["--env", "X", "true"], "NAME=VALUE"), (["--name", "a b", "true"], "a b"),
    (["--timeout", "soon", "true"], "soon"), (["--cpu", "9999", "true"], "9999"),
])
def test_run_refuses_what_cannot_be(shared, words, said):
    refused = shared.cli("run", *words)
    assert refused.returncode == WRONG and said in refused.stderr, refused


def test_run_says_why_it_waits_and_ctrl_c_cancels_it(start):
    service = start("--cpu", "1")
    service.submit([task("holder", "sleep", "1000", grace=0.1)])
    waiting = start_run(service, "true")
    assert "is not running yet: waits for cpu" in waiting.stderr.readline()
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(60) == INTERRUPTED
    assert "cancelling true" in waiting.stderr.read()
    waiting.stdout.close()
    waiting.stderr.close()
    graph = newest(service)
    assert state_name(service.task(graph, "true").state) == "CANCELLED"


def test_ctrl_c_ends_what_runs(shared, folder):
    running = start_run(shared, "sh", "-c", f"trap 'touch {folder}/ended; exit 0' TERM; echo on; "
                                            "while :; do sleep 0.05; done")
    assert running.stdout.readline() == "on\n"
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == INTERRUPTED
    assert (folder / "ended").exists()
    running.stdout.close()
    running.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_ended_ends_its_task(shared, number):
    running = start_run(shared, "sh", "-c", "echo on; exec sleep 1000")
    assert running.stdout.readline() == "on\n"
    graph = newest(shared)
    running.send_signal(number)
    assert running.wait(60) == 128 + number
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_CANCELLED
    running.stdout.close()
    running.stderr.close()


def test_a_run_whose_output_nobody_reads_ends_its_task(shared):
    running = start_run(shared, "yes")
    assert running.stdout.readline() == "y\n"
    graph = newest(shared)
    running.stdout.close()
    assert running.wait(60) == 4
    assert "cannot be written" in running.stderr.read()
    running.stderr.close()
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_CANCELLED


def test_what_is_not_text_is_refused_by_its_name(shared, folder):
    odd = os.fsencode(folder) + b"/b\xff"
    os.mkdir(odd)
    for words in ([b"run", b"echo", b"b\xff"], [b"run", b"--env", b"X=b\xff", b"true"],
                  [b"logs", b"b\xff"], [b"run", b"--directory", odd, b"true"]):
        refused = subprocess.run([os.fsencode(KARTOGRAPH), *words], stderr=subprocess.PIPE, check=False,
                                 env={**os.environ, "KARTOGRAPH_SERVER": shared.server})
        assert refused.returncode == WRONG and b"is not valid UTF-8" in refused.stderr, refused
    refused = subprocess.run([KARTOGRAPH, "run", "pwd"], cwd=odd, stderr=subprocess.PIPE, check=False,
                             env={**os.environ, "KARTOGRAPH_SERVER": shared.server})
    assert refused.returncode == WRONG and b"is not valid UTF-8" in refused.stderr, refused


def test_run_goes_on_over_a_restart_of_the_service(start, folder):
    service = start()
    running = start_run(service, "sh", "-c", f"echo on; while [ ! -e {folder}/gate ]; do sleep 0.02; "
                                             "done; echo off; exit 5")
    assert running.stdout.readline() == "on\n"
    service.terminate()
    service.start()
    (folder / "gate").touch()
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (5, "off\n"), err


def test_run_as_json_gives_the_task(shared):
    ran = shared.cli("run", "--json", "--", "sh", "-c", "echo out; exit 4")
    document = json.loads(ran.stdout)
    assert ran.returncode == 4 and ran.stderr == "out\n"
    assert document["state"] == "TASK_STATE_FAILED" and document["attempts"][0]["exitStatus"] == 4


def test_logs_are_of_both_streams_and_of_all_that_failed(shared):
    graph = shared.submit([task("a", shell="echo fine; echo wrong >&2; exit 1"),
                           task("b", shell="echo b says; exit 2"), task("c", shell="echo quiet")])
    shared.wait_for_graph(graph)
    both = shared.cli("logs", graph, "a")
    assert (both.returncode, both.stdout, both.stderr) == (DONE, "fine\n", "wrong\n")
    assert shared.cli("logs", graph, "a", "--stdout").stdout == "fine\n"
    assert shared.cli("logs", graph, "a", "--stderr").stdout == "wrong\n"
    failed = shared.cli("logs", graph)
    assert failed.returncode == DONE and "quiet" not in failed.stdout
    assert "==> a: exited with status 1" in failed.stdout and "fine\n==> a, stderr <==\nwrong\n" in failed.stdout
    assert "==> b: exited with status 2" in failed.stdout and "b says\n" in failed.stdout
    document = json.loads(shared.cli("logs", graph, "--json").stdout)
    assert set(document) == {"a", "b"} and document["a"]["stderr"]["data"]
    assert shared.cli("logs", graph, "--follow").returncode == WRONG


def test_following_gives_both_streams_as_they_come(shared, folder):
    graph = shared.submit([task("a", shell=f"echo one; until [ -e {folder}/1 ]; do sleep 0.02; done; "
                                           f"echo two >&2; until [ -e {folder}/2 ]; do sleep 0.02; "
                                           "done; echo three")])
    follower = subprocess.Popen([KARTOGRAPH, "logs", graph, "a", "-f"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "KARTOGRAPH_SERVER": shared.server})
    for line, stream, gate in (("one", follower.stdout, "1"), ("two", follower.stderr, "2"),
                               ("three", follower.stdout, "3")):
        assert stream.readline() == f"{line}\n"
        (folder / gate).touch()
    out, err = follower.communicate(timeout=60)
    assert (follower.returncode, out, err) == (DONE, "", "")


def test_the_tail_of_a_log(shared):
    graph = shared.submit([task("a", shell="seq 100000; seq 3 >&2")])
    shared.wait_for_graph(graph)
    both = shared.cli("logs", graph, "a", "--tail", "2")
    assert (both.stdout, both.stderr) == ("99999\n100000\n", "2\n3\n")
    assert shared.cli("logs", graph, "a", "--tail", "1", "--follow", "--stdout").stdout == "100000\n"
    assert shared.cli("logs", graph, "a", "--tail", "-1").returncode == WRONG


def test_close_ends_an_open_graph(shared):
    graph = shared.submit([task("a", shell="true")], open=True)
    eventually(lambda: state_name(shared.task(graph, "a").state) == "SUCCEEDED", "it has ended")
    assert shared.cli("status", graph).stdout.count("running")
    closed = shared.cli("close", graph)
    assert closed.returncode == DONE and "is closed" in closed.stdout
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert "has already ended" in shared.cli("close", graph).stdout
    never_open = shared.submit([task("a", "sleep", "1000", grace=0.1)])
    assert "was not open" in shared.cli("close", never_open).stdout
    shared.cancel(never_open)
    assert shared.cli("close", "g999999").returncode == WRONG


def test_the_result_of_a_task_as_it_is(shared):
    graph = shared.submit([task("a", shell=r"printf 'a\0b\377' > $KARTOGRAPH_RESULT"),
                           task("b", shell="exit 3")])
    shared.wait_for_graph(graph)
    result = shared.cli("result", graph, "a", text=False)
    assert (result.returncode, result.stdout) == (DONE, b"a\0b\xff")
    failed = shared.cli("result", graph, "b")
    assert failed.returncode == NOT_SUCCEEDED and "exited with status 3" in failed.stderr
    assert shared.cli("result", graph, "nobody").returncode == WRONG


def test_the_status_of_one_task(shared):
    graph = shared.submit([task("a", shell="echo 'it is' | cat; exit 3", max_attempts=2)])
    shared.wait_for_graph(graph)
    status = shared.cli("status", graph, "a")
    assert status.returncode == DONE
    assert f"graph ({graph}), task a: failed, exited with status 3" in status.stdout
    assert "command: echo 'it is' | cat; exit 3" in status.stdout
    assert status.stdout.count("exited") >= 3  # the reason and both attempts
    assert json.loads(shared.cli("status", graph, "a", "--json").stdout)["name"] == "a"
    assert shared.cli("status", graph, "nobody").returncode == WRONG


def complete(service, *words):
    script = ('source <("$0" completion bash); kartograph() { "$KARTOGRAPH" "$@"; }; '
              'COMP_WORDS=(kartograph "$@"); COMP_CWORD=$#; _kartograph; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, KARTOGRAPH, *words], stdout=subprocess.PIPE, text=True,
                          check=True, env={**os.environ, "KARTOGRAPH_SERVER": service.server,
                                           "KARTOGRAPH": str(KARTOGRAPH)})
    return done.stdout.split()


def test_bash_completes_commands_options_graphs_and_files(shared, folder):
    graph = shared.submit([task("a", shell="true")], name="completed")
    assert complete(shared, "sub") == ["submit"]
    assert "--wait" in complete(shared, "submit", "--w") and "--json" in complete(shared, "list", "--")
    assert graph in complete(shared, "--server", shared.server, "status", "g")
    assert complete(shared, "watch", "comp") == ["completed"]
    assert complete(shared, "logs", graph, "") == ["a"]
    assert complete(shared, "submit", "--h") == ["--help"]
    (folder / "release.yaml").touch()
    assert complete(shared, "submit", f"{folder}/rel") == [f"{folder}/release.yaml"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shells_script_names_every_command(shell):
    script = cli("completion", shell, server=NOBODY).stdout
    for command in ("submit", "run", "status", "list", "watch", "cancel", "close", "logs", "result",
                    "validate", "plan", "retry", "completion"):
        assert command in script
    assert cli("completion", "tcsh", server=NOBODY).returncode == WRONG
