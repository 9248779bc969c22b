"""Objects that are put, and values that tasks ask the service for."""

import hashlib
import pickle
import threading

import pytest

import kartograph
from kartograph import _blobs, errors
from kartograph._client import Connection


@pytest.fixture()
def connection(fake):
    made = Connection(fake)
    yield made
    made.close()


def upload(uploader, *refs):
    uploader.upload(_blobs.contents_of(refs))


def test_a_content_is_sent_once_by_many_threads(fake, connection):
    uploader = _blobs.Uploader(connection)
    ref = kartograph.put(bytes(3 << 20))
    threads = [threading.Thread(target=upload, args=(uploader, ref)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    upload(uploader, kartograph.put(bytes(3 << 20)))
    assert fake.calls.count("PutBlob") == 1
    assert (fake.folder / "blobs" / ref.id).stat().st_size == ref.size
    # Another connection asks, and need not send.
    upload(_blobs.Uploader(connection), ref)
    assert fake.calls.count("PutBlob") == 1


def test_the_id_is_what_the_contract_says():
    assert kartograph.put("x").id == hashlib.sha256(kartograph.put("x").blob.data).hexdigest()


def test_a_copy_from_another_process_has_the_id_alone(fake, connection):
    ref = kartograph.put([1, 2, 3])
    copy = pickle.loads(pickle.dumps(ref))
    assert (copy, copy.blob) == (ref, None)
    with pytest.raises(errors.KartographError, match="put the object again"):
        upload(_blobs.Uploader(connection), copy)
    uploader = _blobs.Uploader(connection)
    upload(uploader, ref)
    upload(uploader, copy)


def test_what_is_put_refers_to_nothing_else():
    with pytest.raises(TypeError, match="must not refer"):
        kartograph.put([kartograph.put(1)])
    with pytest.raises(errors.NotPicklable):
        kartograph.put(threading.Lock())


def test_without_files_a_task_asks_the_service_for_values(fake):
    fake.gives_inputs = False
    with kartograph.Graph("asks", fake, consumption={"cpu": 0.1}) as graph:
        first, said = graph.run(abs, -5), graph.command("printf 7 > $KARTOGRAPH_RESULT")
        nothing = graph.command(["true"])
        last = graph.run(lambda *values: values, first, said, nothing)
        graph.submit()
        assert last.result(60) == (5, b"7", None)
