"""What tasks read: inputs, and blobs that are kept by their digest."""

import hashlib
import os

import grpc
import pytest

from harness import eventually, outcome_name, pb, problems_of, task

MEBIBYTE = 1 << 20
PART = 2 * MEBIBYTE


def id_of(content):
    return hashlib.sha256(content).hexdigest()


def messages(content, blob_id=None, size=None):
    yield pb.PutBlobRequest(blob=pb.PutBlobRequest.Start(
        blob_id=blob_id or id_of(content), size=len(content) if size is None else size))
    for begin in range(0, len(content), PART):
        yield pb.PutBlobRequest(data=content[begin:begin + PART])


def put(service, content, **more):
    service.stub.PutBlob(messages(content, **more), timeout=60)
    return more.get("blob_id") or id_of(content)


def missing(service, *ids):
    return list(service.call("FindMissingBlobs", pb.FindMissingBlobsRequest(blob_ids=ids)).blob_ids)


def blobs_in(service):
    return sorted(os.listdir(service.state / "blobs"))


def refused_field(call):
    with pytest.raises(grpc.RpcError) as error:
        call()
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    (problem,) = problems_of(error.value)
    return problem.field


def test_a_task_finds_its_input_in_a_file(shared):
    content = bytes(range(256)) * 4096
    graph = shared.submit([
        task("largest", shell="sha256sum < $KARTOGRAPH_INPUT", input=content),
        task("none", shell="echo ${KARTOGRAPH_INPUT-none} ${KARTOGRAPH_BLOBS-none}")])
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert shared.log_of(graph, "largest").split()[0].decode() == id_of(content)
    assert shared.log_of(graph, "none") == b"none none\n"
    assert shared.task(graph, "largest").spec.input == content
    assert refused_field(lambda: shared.submit([task("a", input=content + b"x")])) == 'tasks["a"].input'


def test_many_large_inputs_at_once(shared):
    contents = [os.urandom(MEBIBYTE) for _ in range(4)]
    graph = shared.submit([task(f"t{i}", shell="sha256sum < $KARTOGRAPH_INPUT > $KARTOGRAPH_RESULT",
                                input=contents[i % 4], consumption={"cpu": 0}) for i in range(400)],
                          batch=10)
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    for i in (0, 1, 399):
        assert shared.task(graph, f"t{i}").return_value.split()[0].decode() == id_of(contents[i % 4])


def test_a_blob_is_put_once_and_shared_by_many_tasks(shared):
    content = os.urandom(64 * MEBIBYTE)
    other = b"other"
    assert missing(shared, id_of(content), id_of(other)) == [id_of(content), id_of(other)]
    blob = put(shared, content)
    assert missing(shared, blob, id_of(other)) == [id_of(other)]
    put(shared, content)  # which is not sent
    put(shared, other)
    line = "test $(wc -c < $KARTOGRAPH_INPUT) = 67108864 && cat $KARTOGRAPH_BLOBS/" + id_of(other)
    graph = shared.submit([task(f"t{i}", shell=line, input_blob=blob, blobs=[id_of(other)])
                           for i in range(100)] +
                          [task("whole", shell="sha256sum < $KARTOGRAPH_INPUT", input_blob=blob)])
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert shared.log_of(graph, "t99") == other
    assert shared.log_of(graph, "whole").split()[0].decode() == blob
    assert set(blobs_in(shared)) >= {blob, id_of(other)}
    known = shared.task(graph, "t7").spec
    assert known.input_blob == blob and list(known.blobs) == [id_of(other)]


def test_what_is_not_kept_is_refused_with_its_place(shared):
    absent = id_of(b"absent")
    assert refused_field(lambda: shared.submit([task("a", blobs=[absent])])) == 'tasks["a"].blobs[0]'
    assert refused_field(
        lambda: shared.call("Execute", pb.ExecuteRequest(task=task("a", input_blob=absent)))
    ) == "task.input_blob"


def test_what_is_not_as_announced_is_not_kept(shared):
    content = b"content of a blob"
    wrong = id_of(b"something else")
    assert refused_field(lambda: put(shared, content, blob_id=wrong)) == "blob.blob_id"
    assert refused_field(lambda: put(shared, content, blob_id="17")) == "blob.blob_id"
    assert refused_field(lambda: put(shared, content, size=3)) == "blob.size"
    assert refused_field(lambda: put(shared, content, size=300)) == "blob.size"
    with pytest.raises(grpc.RpcError) as large:
        put(shared, content, size=64 * MEBIBYTE + 1)
    assert large.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "--max-blob" in large.value.details()
    assert missing(shared, wrong, id_of(content)) == [wrong, id_of(content)]
    assert not [name for name in blobs_in(shared) if name.startswith("upload.")]


def test_blobs_survive_a_kill_and_half_of_one_does_not(start):
    service = start()
    kept, half = os.urandom(3 * MEBIBYTE), os.urandom(9 * MEBIBYTE)
    blob = put(service, kept)

    def messages_until_the_kill():
        for i, message in enumerate(messages(half)):
            if i == 3:
                eventually(lambda: any((service.state / "blobs" / name).stat().st_size >= PART
                                       for name in blobs_in(service) if name.startswith("upload.")),
                           "a part is written")
                service.process.kill()
                service.process.wait()
            yield message
    with pytest.raises(grpc.RpcError):
        service.stub.PutBlob(messages_until_the_kill(), timeout=60)
    assert len(blobs_in(service)) == 2
    service.kill()
    service.start()
    assert blobs_in(service) == [blob]
    assert missing(service, blob, id_of(half)) == [id_of(half)]
    put(service, half)
    graph = service.submit([task("a", shell="cat $KARTOGRAPH_INPUT $KARTOGRAPH_BLOBS/* | wc -c",
                                 input_blob=blob, blobs=[id_of(half)])])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


def test_a_damaged_blob_is_found_after_a_restart_and_put_again(start):
    service = start()
    content = os.urandom(MEBIBYTE)
    blob = put(service, content)
    assert service.terminate() == 0
    path = service.state / "blobs" / blob
    path.chmod(0o600)
    with open(path, "r+b") as file:
        file.truncate(1000)
    service.start()
    assert missing(service, blob) == [blob]
    put(service, content)
    assert missing(service, blob) == [] and path.read_bytes() == content


def test_a_task_whose_blob_is_lost_says_so(start, folder):
    service = start("--cpu", 1)
    blob = put(service, b"content")
    gate = folder / "gate"
    graph = service.submit([
        task("first", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done"),
        task("second", shell="cat $KARTOGRAPH_INPUT", input_blob=blob, after=["first"])])
    (service.state / "blobs" / blob).unlink()
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_FAILED
    second = service.task(graph, "second")
    assert outcome_name(second.attempts[-1].outcome) == "NOT_STARTED"
    assert blob in second.reason and "put it again" in second.reason
    put(service, b"content")
    service.call("Retry", pb.RetryRequest(graph_id=graph))
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


def test_a_disk_that_is_nearly_full_takes_no_blob(small_disk, start):
    mounted = small_disk(48)
    service = start("--disk-reserve", "16MiB", state=mounted / "state")
    blob = put(service, os.urandom(4 * MEBIBYTE))
    with pytest.raises(grpc.RpcError) as full:
        put(service, os.urandom(40 * MEBIBYTE))
    assert full.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "are kept in reserve" in full.value.details()
    assert blobs_in(service) == [blob]
    # Nothing else suffers.
    graph = service.submit([task("a", shell="wc -c < $KARTOGRAPH_INPUT", input_blob=blob)])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert service.log_of(graph, "a") == b"4194304\n"
