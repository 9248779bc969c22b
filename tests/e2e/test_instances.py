"""Indexed resources: which GPU a task has, and that nobody else has it."""

import os
import signal
import uuid

import grpc
import pytest

from harness import StartFailed, eventually, outcome_name, pb, problems_of, processes_with, task

INDEXED = ("--cpu", 8, "--resource", "gpu=[0,1]")


def lines(path):
    return path.read_text().split("\n")[:-1] if path.exists() else []


def on_gpus(name, script, count=1, **options):
    return task(name, shell=script, consumption={"cpu": 0.1, "gpu": count}, **options)


def alone(folder, meanwhile=""):
    """A script that notes its instances, and fails where somebody else has one of them."""
    return f"""
held=$(echo $KARTOGRAPH_RESOURCE_GPU | tr , ' ')
for i in $held; do mkdir {folder}/lock.$i || exit 77; done
echo $KARTOGRAPH_RESOURCE_GPU >> {folder}/trace
{meanwhile}
for i in $held; do rmdir {folder}/lock.$i; done"""


def wait_for(gate):
    return f"while [ ! -e {gate} ]; do sleep 0.02; done"


def test_tasks_never_share_an_instance_though_the_service_is_killed(start, folder):
    service, gate = start(*INDEXED), folder / "gate"
    graph = service.submit([on_gpus(f"t{i}", alone(folder, wait_for(gate))) for i in range(4)])
    eventually(lambda: sorted(lines(folder / "trace")) == ["0", "1"], "two run")
    agent = service.agent_pid()
    service.kill()
    service.start()
    assert service.agent_pid() == agent
    service.kill()
    gate.touch()
    service.start()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    # Which of them the last two get depends on which of the first two ends first.
    assert len(lines(folder / "trace")) == 4
    assert all(len(service.task(graph, f"t{i}").attempts) == 1 for i in range(4))


def test_many_short_tasks_never_share_an_instance(start, folder):
    service = start(*INDEXED)
    graph = service.submit([on_gpus(f"t{i}", alone(folder), count=1 + i % 2) for i in range(60)])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    found = lines(folder / "trace")
    assert found.count("0,1") == 30 and len(found) == 60
    assert set(found) <= {"0", "1", "0,1"}


def test_a_task_sees_its_own_gpus_and_no_others(start):
    service = start("--cpu", 8, "--resource", "gpu=[GPU-8932f937,1]",
                    environment={"CUDA_VISIBLE_DEVICES": "0,1,2,3"})
    show = "echo $KARTOGRAPH_RESOURCE_GPU-${CUDA_VISIBLE_DEVICES-unset}-$CUDA_DEVICE_ORDER"

    def seen(one):
        graph = service.submit([one])
        assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
        return service.log_of(graph, one.name).decode().strip()
    assert seen(on_gpus("one", show)) == "GPU-8932f937-GPU-8932f937-PCI_BUS_ID"
    assert seen(on_gpus("both", show, count=2)) == "GPU-8932f937,1-GPU-8932f937,1-PCI_BUS_ID"
    assert seen(task("none", shell=show)) == "--PCI_BUS_ID"
    assert seen(on_gpus("own", show, environment={"CUDA_VISIBLE_DEVICES": "7"})).startswith(
        "GPU-8932f937-7-")


def test_an_instance_is_free_when_the_last_process_is_gone(start, folder):
    service, mark, gate = start(*INDEXED), uuid.uuid4().hex, folder / "gate"
    # Its child takes its time to end.
    stubborn = f"""
python3 -c '
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: None)
open("{folder}/stubborn", "w").close()
while not os.path.exists("{gate}"): time.sleep(0.02)
' {mark} &
echo $KARTOGRAPH_RESOURCE_GPU >> {folder}/trace
wait"""
    first = service.submit([on_gpus("stubborn", stubborn, grace=60)])
    eventually(lambda: (folder / "stubborn").exists() and lines(folder / "trace") == ["0"], "it runs")
    service.cancel(first)
    graph = service.submit([on_gpus(f"t{i}", alone(folder)) for i in range(3)])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert lines(folder / "trace") == ["0", "1", "1", "1"] and processes_with(mark)
    gate.touch()
    assert service.wait_for_graph(first).state == pb.GRAPH_STATE_CANCELLED
    graph = service.submit([on_gpus("after", alone(folder))])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert lines(folder / "trace")[-1] == "0"


def test_a_killed_agents_instances_are_handed_out_when_its_tasks_are_gone(start, folder):
    service, gate = start(*INDEXED), folder / "gate"
    # A process that has ended and is not waited for has no program.
    script = f"""
for i in $(echo $KARTOGRAPH_RESOURCE_GPU | tr , ' '); do
  before=$(cat {folder}/holder.$i 2> {folder}/null)
  [ -n "$before" ] && [ -e /proc/$before/exe ] && exit 77
  echo $$ > {folder}/holder.$i
  echo $i >> {folder}/trace
done
{wait_for(gate)}"""
    graph = service.submit([on_gpus(f"t{i}", script) for i in range(2)])
    eventually(lambda: sorted(lines(folder / "trace")) == ["0", "1"], "both run")
    first = service.agent_pid()
    os.kill(first, signal.SIGKILL)
    eventually(lambda: len(lines(folder / "trace")) == 4, "both run again")
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert sorted(lines(folder / "trace")) == ["0", "0", "1", "1"]
    for name in ("t0", "t1"):
        outcomes = [outcome_name(a.outcome) for a in service.task(graph, name).attempts]
        assert outcomes == ["LOST", "SUCCEEDED"]


def test_a_new_setting_leaves_instances_to_what_runs(start, folder):
    service, gate = start("--cpu", 8), folder / "gate"
    service.terminate()
    service.start("--resource", "gpu=[0,1]")
    first = service.submit([on_gpus("first", alone(folder, wait_for(gate)))])
    eventually(lambda: lines(folder / "trace") == ["0"], "it runs")
    agent = service.agent_pid()
    service.terminate()
    service.start("--resource", "gpu=[2,0]")
    assert service.agent_pid() == agent
    second = service.submit([on_gpus("second", alone(folder))])
    assert service.wait_for_graph(second).state == pb.GRAPH_STATE_SUCCEEDED
    assert lines(folder / "trace") == ["0", "2"]
    gate.touch()
    assert service.wait_for_graph(first).state == pb.GRAPH_STATE_SUCCEEDED
    both = service.submit([on_gpus("both", alone(folder), count=2)])
    assert service.wait_for_graph(both).state == pb.GRAPH_STATE_SUCCEEDED
    assert lines(folder / "trace")[-1] == "2,0"


def test_a_part_of_an_instance_is_refused(start):
    service = start(*INDEXED)

    def problem_of(count):
        with pytest.raises(grpc.RpcError) as failed:
            service.submit([on_gpus("a", "true", count=count)])
        [problem] = problems_of(failed.value)
        assert problem.field == 'tasks["a"].consumption["gpu"]'
        return problem.message
    assert problem_of(0.5) == ("is not a whole number, and gpu is handed out in whole instances; "
                               "ask for 1")
    service.wait_for_agent()
    assert problem_of(3) == "is more than any agent has; ask for at most 2"


def test_what_is_wrong_with_instances_is_said_at_the_start(start, folder):
    for value, said in (("gpu=[]", "has no instances"), ("gpu=[0,0]", "names the instance 0 twice"),
                        ("gpu=[a b]", "cannot be the name of an instance"),
                        ("gpu=[0", "such as [0,1]"),
                        (f"gpu=[{','.join(map(str, range(1025)))}]", "at most 1024")):
        with pytest.raises(StartFailed) as failed:
            start("--resource", value)
        assert failed.value.code == 2 and said in failed.value.stderr
    settings = folder / "settings.yaml"
    settings.write_text("resources: {gpu: [0, [1]]}\n")
    with pytest.raises(StartFailed) as failed:
        start("--config", settings)
    assert f"{settings}:1: resources: must be names" in failed.value.stderr
