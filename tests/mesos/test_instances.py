"""Indexed resources on Mesos: it counts them, and the executor says which ones a task has."""

from harness import eventually, pb, task

WITH_GPUS = "cpus:4.02;mem:2080;disk:1000;gpus:2"
SHOW = "echo $KARTOGRAPH_RESOURCE_GPUS $CUDA_VISIBLE_DEVICES"


def lines(path):
    return path.read_text().split("\n")[:-1] if path.exists() else []


def on_gpus(name, folder, meanwhile="", count=1):
    return task(name, consumption={"cpu": 0.1, "gpus": count}, shell=f"""
held=$(echo $KARTOGRAPH_RESOURCE_GPUS | tr , ' ')
for i in $held; do mkdir {folder}/lock.$i || exit 77; done
echo $KARTOGRAPH_RESOURCE_GPUS >> {folder}/trace
{meanwhile}
for i in $held; do rmdir {folder}/lock.$i; done""")


def wait_for(gate):
    return f"while [ ! -e {gate} ]; do sleep 0.02; done"


def test_tasks_never_share_a_number_though_the_service_is_killed(mesos, folder):
    cluster, gate = mesos.cluster(resources=WITH_GPUS), folder / "gate"
    service = mesos.service(cluster, "--mesos-indexed", "gpus")
    graph = service.submit([on_gpus(f"t{i}", folder, wait_for(gate)) for i in range(4)])
    eventually(lambda: sorted(lines(folder / "trace")) == ["0", "1"], "two run")
    service.kill()
    service.start()
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    # Which of them the last two get depends on which of the first two ends first.
    assert len(lines(folder / "trace")) == 4
    both = service.submit([on_gpus("both", folder, count=2)])
    assert service.wait_for_graph(both).state == pb.GRAPH_STATE_SUCCEEDED
    assert lines(folder / "trace")[-1] == "0,1"


def test_the_executor_of_another_setting_hands_out_what_the_first_has_left(mesos, folder):
    cluster, gate = mesos.cluster(resources=WITH_GPUS), folder / "gate"
    service = mesos.service(cluster, "--mesos-indexed", "gpus")
    first = service.submit([on_gpus("first", folder, wait_for(gate))])
    eventually(lambda: lines(folder / "trace") == ["0"], "it runs")
    service.terminate()
    service.start("--log-limit", "1MiB")
    second = service.submit([on_gpus("second", folder)])
    assert service.wait_for_graph(second).state == pb.GRAPH_STATE_SUCCEEDED
    assert lines(folder / "trace") == ["0", "1"]
    gate.touch()
    assert service.wait_for_graph(first).state == pb.GRAPH_STATE_SUCCEEDED


def test_without_the_setting_they_are_counted(mesos, folder):
    service = mesos.service(mesos.cluster(resources=WITH_GPUS))
    graph = service.submit([task("a", shell=SHOW, consumption={"cpu": 0.1, "gpus": 2})])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert service.log_of(graph, "a") == b"2\n"
