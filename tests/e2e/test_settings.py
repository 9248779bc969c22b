"""Settings: what is wrong with them ends the start with exit code 2, what is odd is said, what changes is said."""

import re
import signal
import socket
import subprocess

import pytest

from harness import KARTOGRAPHD, LOCAL_AGENT, PATIENCE, Service, StartFailed, eventually, pb, task


def failed(folder, *flags, **options):
    """Starts a service that must not come up; returns its exit code and the line it said."""
    service = Service(folder, *flags, **options)
    service.starts = 100  # a log of its own
    with pytest.raises(StartFailed) as error:
        service.start()
    (said,) = [line for line in error.value.stderr.splitlines() if line.strip()]
    assert error.value.stdout == ""
    return error.value.code, said


@pytest.mark.parametrize("flags, said", [
    (["--agent-binary", "/no/such/agent"], "no program kartograph-local-agent at /no/such/agent"),
    (["--tls-cert", "/no/such/cert", "--tls-key", "/no/such/key"], "/no/such/cert"),
    (["--cluster", "mesos:http://127.0.0.1:1", "--mesos-executor-path", "/bin/true",
      "--mesos-principal", "maps", "--mesos-secret-file", "/no/such/secret"], "/no/such/secret"),
    (["--cluster", "mesos:https://127.0.0.1:1", "--mesos-executor-path", "/bin/true",
      "--mesos-ca", "/no/such/ca"], "/no/such/ca"),
    (["--cluster", "mesos:https://127.0.0.1:1", "--mesos-executor-path", "/bin/true",
      "--mesos-ca", "/etc/hostname"], "--mesos-ca")])
def test_what_a_setting_names_and_is_not_there_is_a_wrong_setting(start, folder, flags, said):
    code, line = failed(folder, *flags)
    assert code == 2 and said in line
    assert start().wait_for_agent(), "nothing is left in the way of a start that is right"


def test_a_state_folder_that_cannot_be_one_is_a_wrong_setting(folder):
    (folder / "state").write_text("mine")
    assert failed(folder)[0] == 2


def test_what_may_be_right_later_is_not_a_wrong_setting(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = failed(folder, listen=address)
        assert code == 1 and address in said


def test_a_second_service_with_the_same_settings_is_told_who_has_the_folder(start, folder):
    first = start()
    for listen in (first.http, "127.0.0.1:0"):
        for listen_grpc in (first.grpc, "127.0.0.1:0"):
            code, said = failed(folder, state=first.state, listen=listen, listen_grpc=listen_grpc)
            assert code == 1
            assert said == (f"kartographd: state folder {first.state} is in use by another kartographd "
                            f"(pid {first.process.pid}): stop it or give another --state")
    # The port alone is in the way of another folder.
    code, said = failed(folder, state=folder / "other", listen=first.http)
    assert code == 1 and f"cannot listen on {first.http}" in said
    assert first.get("/healthz")[0] == 200


def test_no_process_id_stays_behind_an_orderly_end(start):
    service = start()
    service.wait_for_agent()
    lock, pid = service.state / "history.sqlite.lock", service.state / "agent.pid"
    assert int(lock.read_text()) == service.process.pid
    assert int(pid.read_text()) == service.agent_pid()
    assert service.terminate() == 0
    assert lock.read_text() == ""
    eventually(lambda: pid.read_text() == "", "the agent, which was idle, has ended")
    service.start()
    assert int(lock.read_text()) == service.process.pid
    # A killed one leaves its id, which is in nobody's way.
    service.kill()
    assert int(lock.read_text()) == service.process.pid
    service.start()
    assert int(lock.read_text()) == service.process.pid


def test_what_is_hardly_intended_is_said_at_the_start(start):
    service = start("--cpu", "5000", "--ram", "12")
    eventually(lambda: "did you mean 12GiB?" in service.stderr(), "it is said")
    assert re.search(r"--cpu 5000: this machine has [\d.]+ cores?\n", service.stderr())
    assert "--ram 12 is 12 bytes: did you mean 12GiB?" in service.stderr()
    assert service.wait_for_agent().capacity["cpu"] == 5000


def test_settings_as_usual_are_not_doubted(start):
    service = start("--cpu", "0.5", "--ram", "64MiB", "--disk-reserve", "0")
    service.wait_for_agent()
    eventually(lambda: "live graphs" in service.stderr(), "the start is in the log")
    assert "did you mean" not in service.stderr() and "this machine has" not in service.stderr()


def start_line(service):
    """The one line that says how the service began; its agent is in no other."""
    lines = eventually(lambda: [line for line in service.stderr().splitlines() if " serves " in line],
                       "the start is in the log")
    assert len(lines) == 1 and service.stderr().count("memory limits: ") <= 1, service.stderr()
    return lines[0]


def test_the_start_and_the_stop_are_in_the_log(start, folder):
    service = start("--cpu", "2", "--ram", "64MiB", "--pool", "db=3")
    gate = folder / "gate"
    graph = service.submit([task("a", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done")])
    line = start_line(service)
    agent = service.agent_pid()
    for words in (f"serves {service.state} ", "with cpu=2 ram=64MiB, pools db=3", "live graphs: 0, live attempts: 0",
                  f"agent {agent} was started, with 0 attempts; memory limits: "):
        assert words in line
    service.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    assert service.terminate() == 0
    assert service.stderr().endswith(" info stopped; running attempts are left to be found again\n")
    service.start()
    line = start_line(service)
    for words in ("live graphs: 1, live attempts: 1", f"agent {agent} was found running, with 1 attempts"):
        assert words in line
    # One zone everywhere, whatever the machine's.
    for text in (service.stderr(), (service.state / "agent.log").read_text()):
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", text)
    gate.touch()


def test_sighup_makes_the_agents_log_again(start):
    service = start()
    service.wait_for_agent()
    log = service.state / "agent.log"
    eventually(lambda: log.exists() and "serving a new connection" in log.read_text(), "the agent logs")
    log.rename(service.state / "agent.log.1")
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: log.exists() and "opened again" in log.read_text(), "the log is made again")


def test_sighup_says_what_has_changed_and_what_takes_a_restart(start, folder):
    config = folder / "config.yaml"
    config.write_text("pools: {db: 1}\nretention-graphs: 100\n")
    service = start("--config", config)

    def said_after(settings):
        """What is logged of these settings."""
        config.write_text(settings)
        before = service.stderr().count("\n")
        service.process.send_signal(signal.SIGHUP)
        line = eventually(lambda: [line for line in service.stderr().splitlines()[before:]
                                   if "the settings" in line], "the settings are read")[0]
        return line.partition("the settings ")[2]
    assert said_after("pools: {db: 1}\nretention-graphs: 100\n") == "were read again: nothing changed"
    assert said_after("pools: {db: 2}\nretention-graphs: 200\n") == \
        "were read again: pool db 1 -> 2, retention-graphs 100 -> 200"
    changed = "pools: {db: 2}\nretention-graphs: 200\nslots: 7\nmax-streams: 7\nmesos-roles: maps\n"
    pending = "takes effect with a restart: max-streams default -> 7, mesos-roles default -> maps"
    assert said_after(changed) == f"were read again: slots default -> 7; {pending}"
    # It still takes one.
    assert said_after(changed) == f"were read again: nothing changed; {pending}"
    assert "did you mean slots?" in said_after("slot: 8\n")
    assert said_after(changed.replace("slots: 7", "slots: 8")) == \
        f"were read again: slots 7 -> 8; {pending}"


@pytest.mark.parametrize("program, words", [
    (KARTOGRAPHD, "--help"), (KARTOGRAPHD, "--version"), (LOCAL_AGENT, "--help")])
def test_help_that_cannot_be_written_is_an_error(program, words):
    with open("/dev/full", "wb") as full:
        ended = subprocess.run([program, words], stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    assert ended.returncode == 1
    assert program == LOCAL_AGENT or ended.stderr == (
        b"kartographd: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize("words", [[], ["--state"], ["--state", "relative"], ["--nonsense"],
                                   ["--state", "/x", "--idle-exit", "soon"]])
def test_the_agent_says_how_it_is_used(words):
    ended = subprocess.run([LOCAL_AGENT, *words], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr.startswith("kartograph-local-agent: ") and "--state" in ended.stderr


def test_wrong_words_of_the_settings_are_corrected(folder):
    config = folder / "config.yaml"
    config.write_text("retention_graphs: 5\ndrain: yes\n")
    ended = subprocess.run([KARTOGRAPHD, "--state", folder / "state", "--config", config, "--resource", "gpu"],
                           capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        f"{config}:1: retention_graphs: is not a setting; did you mean retention-graphs?",
        f"{config}:2: drain = yes: must be true or false; use true",
        "--resource = gpu: must be NAME=NUMBER or NAME=[INSTANCE,...], such as gpu=2 or gpu=[0,1]"]


@pytest.mark.parametrize("words, said", [
    (["--config", "a", "--config", "b"], "--config is given more than once; give it once"),
    (["--state"], "--state needs a value"), (["--drain=odd"], "")])
def test_wrong_words_are_said_as_by_the_command_line(words, said):
    ended = subprocess.run([KARTOGRAPHD, *words], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 2 and said in ended.stderr
    assert "equired" not in ended.stderr and "missing" not in ended.stderr


def test_what_retention_removes_is_said(start, folder):
    config = folder / "config.yaml"
    config.write_text("retention-graphs: 5\n")
    service = start("--config", config)
    graphs = [service.submit([task("a")]) for _ in range(3)]
    for graph in graphs:
        service.wait_for_graph(graph)
    assert "removed" not in service.stderr()
    config.write_text("retention-graphs: 2\n")
    service.process.send_signal(signal.SIGHUP)
    line = eventually(lambda: re.search(r"--retention-graphs: removed 1 graph, g\d\n", service.stderr()),
                      "it is said")[0]
    assert any(line.endswith(f" {graph}\n") for graph in graphs)
    config.write_text("retention-graphs: 0\n")
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: re.search(r"--retention-graphs: removed 2 graphs, from g\d, which ended first, to g\d\n",
                                 service.stderr()), "it is said")
