"""Settings that cannot work say so, in words that say what would."""

import http.server
import ssl
import subprocess
import threading

import pytest

from harness import StartFailed, Service, eventually, pb, task
from conftest import EXECUTOR


def refused(folder, *flags, **options):
    """Starts a service that must not come up; returns what it said."""
    service = Service(folder, *flags, **options)
    with pytest.raises(StartFailed) as error:
        service.start()
    failed = error.value
    assert failed.code not in (0, None) and failed.code > 0, f"no crash, please: {failed}"
    said = [line for line in failed.stderr.splitlines() if line.strip()]
    assert len(said) == 1, failed.stderr
    assert failed.stdout == ""
    return said[0]


@pytest.mark.parametrize("cluster, word", [
    ("mesos", "mesos:http://"), ("mesos:", "http://"), ("mesos:ftp://host:5050", "http://"),
    ("mesos:http://host:99999", "99999"), ("mesos:zk://host", "/mesos"),
    ("mesos:http://", "host")])
def test_a_wrong_cluster_is_refused(folder, cluster, word):
    said = refused(folder, "--cluster", cluster, "--mesos-executor-path", EXECUTOR)
    assert "--cluster" in said and word in said


@pytest.mark.parametrize("flags, words", [
    ([], ["--http", "--mesos-executor-path"]),
    (["--mesos-executor-path", "bin/kartograph-executor"], ["--mesos-executor-path", "absolute"]),
    (["--mesos-executor-path", EXECUTOR, "--mesos-roles", "a,,b"], ["--mesos-roles"]),
    (["--mesos-executor-path", EXECUTOR, "--mesos-failover-timeout", "soon"],
     ["--mesos-failover-timeout", "168h"]),
    (["--mesos-executor-path", EXECUTOR, "--mesos-checkpoint", "maybe"],
     ["--mesos-checkpoint", "true or false"]),
    (["--mesos-executor-path", EXECUTOR, "--mesos-tls"], ["--mesos-tls", "mesos:https://"]),
    (["--mesos-executor-path", EXECUTOR, "--mesos-ca", "/no/such.pem"], ["/no/such.pem"]),
    (["--mesos-executor-path", EXECUTOR, "--mesos-secret-file", "/no/such/secret",
      "--mesos-principal", "me"], ["/no/such/secret"])])
def test_a_wrong_setting_is_refused_by_name(folder, flags, words):
    said = refused(folder, "--cluster", "mesos:http://127.0.0.1:1", *flags)
    assert all(word in said for word in words), said


def test_a_ca_file_without_a_certificate_is_refused(folder):
    wrong = folder / "wrong.pem"
    wrong.write_text("this is no certificate\n")
    said = refused(folder, "--cluster", "mesos:https://127.0.0.1:1", "--mesos-executor-path",
                   EXECUTOR, "--mesos-ca", wrong)
    assert str(wrong) in said and "--mesos-ca" in said


def test_a_wrong_secret_is_told_and_never_printed(mesos, folder):
    cluster = mesos.cluster("--user", "kartograph", "--password", "right")
    secret = folder / "secret"
    secret.write_text("wrong-guess\n")
    flags = ("--mesos-principal", "kartograph", "--mesos-secret-file", secret)
    service = mesos.service(cluster, *flags)
    eventually(lambda: "401" in service.stderr(), lambda: f"it is reported: {service.stderr()}")
    assert "wrong-guess" not in service.stderr()
    answer = service.call("GetCluster", pb.GetClusterRequest())
    assert not answer.connected and "401" in answer.disconnect_reason
    assert "401" in service.cli("status").stdout
    graph = service.submit([task("a")])
    assert service.terminate() == 0
    secret.write_text("right\n")
    service.start()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert "right" not in service.stderr()


def test_a_service_without_a_master_waits_for_one(mesos):
    cluster = mesos.cluster()
    service = Service(mesos.folder, "--cluster", "mesos:http://127.0.0.1:1",
                      "--mesos-executor-path", EXECUTOR)
    mesos.services.append(service)
    service.start()
    eventually(lambda: "127.0.0.1:1" in service.stderr(), "it says whom it cannot reach")
    graph = service.submit([task("a")])
    assert service.terminate() == 0
    service.flags[1] = f"mesos:http://127.0.0.1:1,{cluster.master}"
    service.start()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


@pytest.fixture
def tls_master(folder):
    """An HTTPS server with an unknown certificate; its address."""
    certificate = folder / "master.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", certificate, "-out", folder / "public.pem"],
                   check=True, capture_output=True)
    certificate.write_text(certificate.read_text() + (folder / "public.pem").read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True,
                                        do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"127.0.0.1:{server.server_port}", folder / "public.pem"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_master_with_an_unknown_certificate_is_not_talked_to(mesos, tls_master):
    address, public = tls_master
    flags = ("--cluster", f"mesos:https://{address}", "--mesos-executor-path", EXECUTOR)
    service = Service(mesos.folder, *flags)
    mesos.services.append(service)
    service.start()
    eventually(lambda: "certificate" in service.stderr(), lambda: f"reported: {service.stderr()}")
    assert service.terminate() == 0
    # With its authority the server is talked to; that it is not a master is another matter.
    service.start("--mesos-ca", public)
    eventually(lambda: address in service.stderr(), lambda: f"reported: {service.stderr()}")
    assert "certificate" not in service.stderr()


def test_attempts_of_the_local_cluster_are_not_taken_to_mesos(mesos, folder):
    gate = folder / "gate"
    service = Service(mesos.folder)
    mesos.services.append(service)
    service.start()
    graph = service.submit([task("a", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done")])
    service.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    assert service.terminate() == 0
    cluster = mesos.cluster()
    service.start("--cluster", f"mesos:http://{cluster.master}", "--mesos-executor-path", EXECUTOR)
    eventually(lambda: "--cluster local" in service.stderr(), "it says what to do")
    assert service.terminate() == 0
    gate.touch()
    service.start()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert len(service.task(graph, "a").attempts) == 1
