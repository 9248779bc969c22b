"""What the command line says so that a person knows what to type next: help, completion, advice."""

import os
import pathlib
import re
import subprocess

import pytest
from harness import KARTOGRAPH, cli, pb, task

DONE, NOT_SUCCEEDED, WRONG = 0, 1, 2
NOBODY = "127.0.0.1:1"
COMMON = ("--json", "--server", "--state-folder", "--token-file", "--tls-ca", "--tls-cert", "--tls-key")


@pytest.mark.parametrize("command", [["submit"], ["run"], ["status"], ["queue"], ["queue", "pop"], ["page"]])
def test_the_help_of_a_command_names_the_options_of_all_commands(command):
    said = cli(*command, "--help", server=NOBODY)
    assert said.returncode == DONE
    [sentence] = re.findall(r'^Every command also takes (.*?); "kartograph --help" describes', said.stdout,
                            re.MULTILINE | re.DOTALL)
    for option in COMMON:
        assert option in sentence
        assert f"  {option} " in cli("--help").stdout


def test_run_says_what_is_wrong_by_its_options(shared):
    for words, said in ((["--cpu", "9"], 'kartograph: --cpu: "9" is more than any agent has; ask for at most 4\n'),
                        (["--ram", "9x"], 'kartograph: --ram: "9x" has an unknown unit'),
                        (["--resource", "licence=1"], "kartograph: --resource licence: "),
                        (["--timeout", "0s"], "kartograph: --timeout: must be longer than 0"),
                        (["--env", "KARTOGRAPH_X=1"], "kartograph: --env: ")):
        refused = shared.cli("run", *words, "--", "true")
        assert refused.returncode == WRONG and refused.stderr.startswith(said), refused
        assert "tasks[" not in refused.stderr
    refused = shared.cli("run", "--resource", "licence=1", "true")
    assert refused.stderr.endswith('did you mean "licences"?\n')
    refused = shared.cli("run", "--resource", "gpu=1", "true")
    assert refused.stderr.startswith("kartograph: --resource gpu: no agent and no pool has this resource")
    assert "did you mean" not in refused.stderr


def test_a_graph_that_is_kept_for_a_queue_is_refused_with_what_lets_it_go(shared):
    graph = shared.submit([task("a")], name="kept", client_queue="kept-queue")
    shared.wait_for_graph(graph)
    refused = shared.cli("forget", graph)
    assert refused.returncode == NOT_SUCCEEDED
    for command in ("pop", "purge"):
        assert f"kartograph queue {command} kept-queue\n" in refused.stderr
    assert shared.cli("queue", "pop", "kept-queue").returncode == DONE
    forgotten = shared.cli("forget", graph)
    assert (forgotten.returncode, forgotten.stdout) == (
        DONE, f"kept ({graph}) was forgotten, with its logs and sandboxes\n")


def test_what_is_still_running_is_not_forgotten(shared):
    graph = shared.submit([task("a", "sleep", "1000", grace=0.1)])
    refused = shared.cli("forget", graph)
    assert refused.returncode == NOT_SUCCEEDED and f"kartograph cancel {graph}\n" in refused.stderr
    shared.cancel(graph)


def test_the_status_of_a_task_shows_its_script_line_by_line(shared):
    graph = shared.submit([task("a", shell="echo one\necho two", grace=3)])
    shared.wait_for_graph(graph)
    said = shared.cli("status", graph, "a").stdout
    assert "\n  command:\n    echo one\n    echo two\n" in said
    assert "\n  cancel_grace: 3" in said


def test_the_link_to_the_page_is_alone_on_standard_output(shared):
    printed = shared.cli("page")
    assert printed.returncode == DONE
    assert re.fullmatch(rf"http://{shared.http}/login\?code=[0-9a-f]+\n", printed.stdout)
    port = shared.http.rpartition(":")[2]
    here = os.uname().nodename
    assert printed.stderr.splitlines() == [
        "Open it in a browser. It works once, within five minutes.",
        f"If your browser is on another machine, run this there first: ssh -L {port}:{shared.http} {here}"]
    assert shared.cli("page", "--json").stderr == ""


def test_a_write_says_once_that_it_waits_for_the_service(folder):
    refused = cli("cancel", "g1", server=f"unix:{folder}/nobody.sock")
    lines = refused.stderr.splitlines()
    assert re.fullmatch(rf"kartograph: the service at unix:{folder}/nobody.sock is unavailable; "
                        r"trying again for \d s", lines[0])
    assert refused.stderr.count("trying again") == 1 and "cannot be reached" in lines[1]
    assert "trying again" not in cli("status", "g1", server=f"unix:{folder}/nobody.sock").stderr


# --- completion ------------------------------------------------------------------------------------


def on_path(folder):
    """A PATH on which the program under test is `kartograph`."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    if not (programs / "kartograph").exists():
        (programs / "kartograph").symlink_to(pathlib.Path(KARTOGRAPH).resolve())
    return f"{programs}:{os.environ['PATH']}"


def bash(service, folder, *words):
    script = ("source <(kartograph completion bash); COMP_WORDS=(kartograph \"$@\"); COMP_CWORD=$#; "
              "_kartograph; printf '%s\\n' \"${COMPREPLY[@]}\"")
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=True,
                          env={**os.environ, "KARTOGRAPH_SERVER": service.server, "PATH": on_path(folder)})
    assert done.stderr == ""
    return done.stdout.splitlines()


def fish(service, folder, *words):
    done = subprocess.run(
        ["fish", "--no-config", "-c", "kartograph completion fish | source; complete -C \"$argv\"",
         "kartograph", *words], capture_output=True, text=True, check=True,
        env={**os.environ, "KARTOGRAPH_SERVER": service.server, "PATH": on_path(folder),
             "HOME": str(folder)})
    assert done.stderr == ""
    return [line.split("\t")[0].rstrip("/") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("complete", [bash, fish], ids=["bash", "fish"])
def test_commands_of_commands_and_values_of_options_are_completed(shared, folder, complete):
    if subprocess.run(["which", complete.__name__], stdout=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip(f"{complete.__name__} is not installed")

    def completed(*words):
        return sorted(complete(shared, folder, *words))
    graph = shared.submit([task("a"), task("b")], name="finished", client_queue="held")
    shared.wait_for_graph(graph)
    (folder / "state-1").mkdir()
    (folder / "state-file").touch()
    assert completed("que") == ["queue"]
    assert completed("queue", "") == ["list", "pop", "purge"]
    assert completed("queue", "pu") == ["purge"]
    assert completed("--json", "queue", "pop", "he") == ["held"]
    assert completed("queue", "pop", "--l") == ["--limit"]
    assert completed("submit", "--queue", "he") == ["held"]
    assert completed("--state-folder", f"{folder}/st") == [f"{folder}/state-1"]
    assert completed("run", "--directory", f"{folder}/st") == [f"{folder}/state-1"]
    assert completed("--token-file", f"{folder}/state-f") == [f"{folder}/state-file"]
    assert completed("list", "--state", "") == ["cancelled", "failed", "running", "succeeded"]
    assert completed("--server", shared.server, "logs", graph, "") == ["a", "b"]
    assert completed("completion", "") == ["bash", "fish", "zsh"]


def test_bash_completes_what_stands_after_an_equals_sign(shared, folder):
    (folder / "state-1").mkdir()
    assert bash(shared, folder, "--state-folder", "=", f"{folder}/st") == [f"{folder}/state-1"]
    assert bash(shared, folder, "list", "--state", "=") == ["running", "succeeded", "failed", "cancelled"]
    # `--wait` of submit takes no value, that of `queue pop` does.
    assert bash(shared, folder, "submit", "--wait", "--na") == ["--name"]
    assert bash(shared, folder, "queue", "pop", "--wait", "") == [""]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts_are_valid(folder, shell):
    script = folder / "script"
    script.write_text(cli("completion", shell, server=NOBODY).stdout)
    try:
        checked = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"{shell} is not installed")
    assert (checked.returncode, checked.stderr) == (0, "")
    for words in ("purge", "--state-folder", "succeeded"):
        assert words in script.read_text()
