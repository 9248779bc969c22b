"""Who may use a service: its user over the socket, who has the token over TCP, browsers that were let in."""

import http.client
import http.cookies
import os
import pwd
import re
import socket
import ssl
import stat
import subprocess
import sys
import urllib.parse

import grpc
import pytest

from harness import (KARTOGRAPH, KARTOGRAPHD, PATIENCE, StartFailed, cli, eventually, pb, pb_grpc,
                     task)

DONE, REFUSED, WRONG, UNREACHABLE = range(4)


def get_cluster(channel, *metadata):
    """The code and the details with which a call over this channel ends."""
    try:
        pb_grpc.TaskExecuterStub(channel).GetCluster(pb.GetClusterRequest(), timeout=PATIENCE,
                                                     metadata=metadata)
        return grpc.StatusCode.OK, ""
    except grpc.RpcError as error:
        return error.code(), error.details()
    finally:
        channel.close()


def insecure(service):
    return grpc.insecure_channel(service.grpc, options=[("grpc.use_local_subchannel_pool", 1)])


def ask(service, path, host=None, **headers):
    """Status, headers and body of an answer to a browser without a session."""
    connection = http.client.HTTPConnection(service.http, timeout=PATIENCE)
    connection.putrequest("GET", path, skip_host=True)
    for name, value in {"Host": host or service.http, **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, body


def link_target(service):
    """Path and query of a new link into the page."""
    link = urllib.parse.urlsplit(service.cli("page").stdout.strip())
    return f"{link.path}?{link.query}"


def log_in(service):
    """The Cookie header of a browser that has used a link."""
    _, headers, _ = ask(service, link_target(service))
    return headers["Set-Cookie"].partition(";")[0]


# --- The state folder ------------------------------------------------------------------------------


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_what_gives_access_is_its_users_alone_and_outlives_a_restart(start):
    service = start()
    token = service.token()
    assert re.fullmatch("[0-9a-f]{64}", token)
    assert mode_of(service.state) == mode_of(service.state / "run") == 0o700
    assert mode_of(service.token_file) == mode_of(service.state / "run/grpc.sock") == 0o600
    service.kill()  # its socket stays behind
    assert (service.state / "run/grpc.sock").is_socket()
    service.start()
    assert service.token() == token
    assert service.cli("list").returncode == DONE
    service.terminate()
    assert not (service.state / "run/grpc.sock").exists()


def test_a_state_folder_of_an_older_version_is_closed_and_gets_a_token(start):
    service = start()
    graph = service.submit([task("a")])
    service.wait_for_graph(graph)
    service.terminate()
    service.token_file.unlink()
    (service.state / "run").rmdir()
    service.state.chmod(0o755)
    service.start()
    assert mode_of(service.state) == 0o700 and len(service.token()) == 64
    assert service.graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


def test_a_token_that_others_can_read_is_refused(start):
    service = start()
    service.terminate()
    service.token_file.chmod(0o644)
    with pytest.raises(StartFailed) as failed:
        service.start()
    said = failed.value.stderr.strip().splitlines()
    assert len(said) == 1 and str(service.token_file) in said[0] and "0644" in said[0]


def test_a_long_state_folder_and_one_with_odd_characters_have_a_socket_too(start, folder):
    for name in ("x" * 120, "50% of #1?"):
        (folder / name).mkdir()
        service = start(state=folder / name / "state")
        assert service.cli("list", "--state-folder", service.state).returncode == DONE
        service.close()


# --- gRPC ------------------------------------------------------------------------------------------


def test_over_tcp_only_the_token_lets_a_call_in(shared):
    code, said = get_cluster(insecure(shared))
    assert code == grpc.StatusCode.UNAUTHENTICATED and "--token-file" in said
    for wrong in ("", "Bearer", "Bearer nonsense", shared.token(), f"Basic {shared.token()}"):
        code, said = get_cluster(insecure(shared), ("authorization", wrong))
        assert code == grpc.StatusCode.UNAUTHENTICATED, wrong
    right = ("authorization", f"Bearer {shared.token()}")
    assert get_cluster(insecure(shared), right)[0] == grpc.StatusCode.OK
    # Streams and what is not ours too; health is open.
    with insecure(shared) as channel:
        for method in ("/kartograph.v1.TaskExecuter/SubmitGraph",
                       "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                       "/kartograph.v1.StatusPage/GetPageLink", "/no.such/Method"):
            with pytest.raises(grpc.RpcError) as error:
                next(channel.stream_stream(method)(iter([b""]), timeout=PATIENCE))
            assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED, method
        assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=PATIENCE) == b"\x08\x01"


def test_the_command_line_says_what_is_missing_and_takes_it(shared, folder):
    without = cli("list", server=shared.grpc)
    assert without.returncode == WRONG and "--token-file" in without.stderr
    (folder / "wrong").write_text("nonsense\n")
    wrong = cli("list", "--token-file", folder / "wrong", server=shared.grpc)
    assert wrong.returncode == WRONG and "not the service's token" in wrong.stderr
    assert cli("list", "--token-file", shared.token_file, server=shared.grpc).returncode == DONE
    assert cli("list", env={"KARTOGRAPH_SERVER": shared.grpc,
                            "KARTOGRAPH_TOKEN_FILE": str(shared.token_file)}).returncode == DONE
    assert cli("list", "--state-folder", shared.state).returncode == DONE
    assert cli("list", env={"KARTOGRAPH_STATE_FOLDER": str(shared.state)}).returncode == DONE
    both = cli("list", "--state-folder", shared.state, "--server", shared.grpc)
    assert both.returncode == WRONG
    nowhere = cli("list", "--state-folder", folder)
    assert nowhere.returncode == UNREACHABLE and f"{folder}/run/grpc.sock" in nowhere.stderr
    assert "No such file" in nowhere.stderr and "--state-folder" in nowhere.stderr


def as_nobody():
    nobody = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)


@pytest.mark.skipif(os.geteuid() != 0, reason="being another user takes the right to become one")
def test_another_user_gets_nowhere(start, folder):
    service = start()
    service.wait_for_agent()
    # Even where somebody has opened the folders above.
    folder.chmod(0o755)
    service.state.chmod(0o755)
    script = """
import socket, sys
sockets, token = sys.argv[1:-1], sys.argv[-1]
for path in sockets:
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        sys.exit(f"connected to {path}")
    except PermissionError:
        pass
try:
    open(token)
    sys.exit("has read the token")
except PermissionError:
    pass
"""
    nobody = subprocess.run([sys.executable, "-c", script, service.state / "run/grpc.sock",
                             service.state / "agent.sock", service.token_file],
                            preexec_fn=as_nobody, cwd="/", capture_output=True, text=True,
                            timeout=PATIENCE, check=False)
    assert (nobody.returncode, nobody.stderr) == (0, "")
    # Also where the socket's folder is open: its own mode counts.
    (service.state / "run").chmod(0o755)
    again = subprocess.run([sys.executable, "-c", script, service.state / "run/grpc.sock",
                            service.token_file], preexec_fn=as_nobody, cwd="/", capture_output=True,
                           text=True, timeout=PATIENCE, check=False)
    assert (again.returncode, again.stderr) == (0, "")
    tool = folder / "kartograph"
    tool.write_bytes(open(KARTOGRAPH, "rb").read())
    tool.chmod(0o755)
    (service.state / "run").chmod(0o700)
    for words, said in ((["--state-folder", service.state], "another user's"),
                        (["--server", service.grpc], "token")):
        refused = subprocess.run([tool, *words, "run", "--sandbox", "id"], preexec_fn=as_nobody, cwd="/",
                                 capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert refused.returncode in (WRONG, UNREACHABLE) and said in refused.stderr, refused
    assert not service.call("ListGraphs", pb.ListGraphsRequest()).graphs


# --- HTTP ------------------------------------------------------------------------------------------


def test_without_token_or_session_nothing_is_told_but_health(shared):
    for path in ("/", "/main.js", "/api/v1/graphs", "/api/v1/events", "/metrics", "/nowhere"):
        status, headers, body = ask(shared, path)
        assert status == 401 and headers["WWW-Authenticate"] == "Bearer", path
        assert "kartograph page" in body, path
        assert ask(shared, path, Authorization="Bearer nonsense")[0] == 401
    assert ask(shared, "/healthz")[0] == 200
    assert ask(shared, "/", **shared.authorization())[0] == 200


def test_a_link_logs_one_browser_in(shared):
    target = link_target(shared)
    status, headers, _ = ask(shared, target)
    assert status == 303 and headers["Location"] == "/login" and headers["Cache-Control"] == "no-store"
    cookie = http.cookies.SimpleCookie(headers["Set-Cookie"])
    (name, morsel), = cookie.items()
    assert morsel["httponly"] and morsel["samesite"] == "Strict" and morsel["path"] == "/"
    assert int(morsel["max-age"]) == 7 * 24 * 3600 and not morsel["secure"]
    status, headers, _ = ask(shared, "/login")
    assert status == 200 and headers["Refresh"] == "0; url=/"
    session = {"Cookie": f"{name}={morsel.value}"}
    for path in ("/", "/api/v1/graphs", "/metrics"):
        assert ask(shared, path, **session)[0] == 200
    status, headers, body = ask(shared, target)
    assert status == 401 and "Set-Cookie" not in headers and "has been used" in body
    assert ask(shared, "/", Cookie=f"{name}={morsel.value[:-1]}x")[0] == 401


def test_a_session_outlives_a_restart_and_ends_with_the_token(start):
    service = start()
    session = log_in(service)
    stale = link_target(service)
    service.terminate()
    service.start()
    assert ask(service, "/", Cookie=session)[0] == 200
    assert ask(service, stale)[0] == 401
    service.terminate()
    service.token_file.unlink()
    service.start()
    assert ask(service, "/", Cookie=session)[0] == 401


def test_other_names_and_other_sites_are_refused(start):
    service = start("--http-host", "maps.example")
    session = log_in(service)
    port = service.http.rpartition(":")[2]
    for host in (f"localhost:{port}", "127.0.0.1", f"[::1]:{port}", "maps.example", "MAPS.example:443"):
        assert ask(service, "/", host, Cookie=session)[0] == 200, host
    # A web page whose name leads here by its DNS: the browser sends that name.
    for host in (f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example", "10.1.2.3"):
        for path in ("/", "/api/v1/graphs", "/metrics", link_target(service)):
            status, headers, _ = ask(service, path, host, Cookie=session)
            assert status == 403 and "Set-Cookie" not in headers, (host, path)
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        assert ask(service, "/api/v1/graphs", Cookie=session, Origin=origin)[0] == 403
    assert ask(service, "/api/v1/graphs", Cookie=session, Origin=f"http://{service.http}")[0] == 200
    link = urllib.parse.urlsplit(service.cli("page").stdout.strip())
    assert link.netloc == f"maps.example:{port}"


def test_metrics_may_be_opened(start):
    service = start("--metrics-open")
    assert ask(service, "/metrics")[0] == 200
    assert ask(service, "/api/v1/graphs")[0] == 401


def test_values_of_variables_and_inputs_are_not_shown_over_http(shared):
    graph = shared.submit([task("a", environment={"PASSWORD": "hunter2", "EMPTY": ""}, input=b"secret")])
    shared.wait_for_graph(graph)
    for path in (f"/api/v1/graphs/{graph}/task?name=a", f"/api/v1/graphs/{graph}/tasks?full=true"):
        _, _, body = shared.get(path)
        assert b"hunter2" not in body and b'"PASSWORD":"***"' in body and b'"EMPTY":"***"' in body
        assert b'"input":""' in body
    assert dict(shared.task(graph, "a").spec.command.environment)["PASSWORD"] == "hunter2"
    assert "hunter2" in shared.cli("status", graph, "a", "--json").stdout


# --- kartograph page -------------------------------------------------------------------------------


def test_page_prints_a_link_and_opens_it_where_there_is_a_display(shared, folder):
    printed = shared.cli("page")
    assert printed.returncode == DONE and "It works once" in printed.stderr
    assert re.fullmatch(rf"http://{shared.http}/login\?code=[0-9a-f]{{64}}\n", printed.stdout)
    assert '"url"' in shared.cli("page", "--json").stdout
    opener = folder / "xdg-open"
    opener.write_text(f'#!/bin/sh\nstat -c %a "$1" > {folder}/mode\ncat "$1" > {folder}/shown.new\n'
                      f"mv {folder}/shown.new {folder}/shown\n")
    opener.chmod(0o755)
    terminal = ["script", "-qec", f"{KARTOGRAPH} page", "/dev/null"]
    environment = {**os.environ, "KARTOGRAPH_SERVER": shared.server, "TERM": "xterm",
                   "XDG_RUNTIME_DIR": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"}
    environment.pop("DISPLAY", None)
    environment.pop("WAYLAND_DISPLAY", None)
    without = subprocess.run(terminal, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                             text=True, timeout=PATIENCE, check=False)
    assert without.returncode == DONE and "Open it in a browser" in without.stdout
    shown = subprocess.run(terminal, env={**environment, "DISPLAY": ":7"}, stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert shown.returncode == DONE and "Opened in the browser" in shown.stdout
    eventually((folder / "shown").exists, "the opener has it")
    code = re.search("code=([0-9a-f]{64})", shown.stdout)[1]
    assert f"/login?code={code}" in (folder / "shown").read_text()
    assert (folder / "mode").read_text() == "600\n"
    opener.unlink()
    missing = subprocess.run(terminal, env={**environment, "DISPLAY": ":7", "PATH": str(folder)},
                             executable="/usr/bin/script", stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert missing.returncode == DONE and "/login?code=" in missing.stdout


# --- TLS and other machines --------------------------------------------------------------------------


def refusal(folder, *flags):
    ended = subprocess.run([KARTOGRAPHD, "--state", folder / "state", *flags], capture_output=True,
                           text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == WRONG and not (folder / "state").exists()
    return ended.stderr


def test_other_machines_reach_it_only_over_tls_or_on_purpose(folder, start):
    for flag in ("--grpc", "--http"):
        said = refusal(folder, flag, "0.0.0.0:0")
        assert flag in said and "--tls-cert" in said and "--insecure" in said
    service = start("--insecure", listen="0.0.0.0:0")
    assert "without TLS (--insecure)" in service.stderr()
    port = service.http.rpartition(":")[2]
    service.http = f"127.0.0.1:{port}"
    assert ask(service, "/")[0] == 401
    assert ask(service, "/", f"10.9.8.7:{port}", **service.authorization())[0] == 200
    assert ask(service, "/", f"evil.example:{port}", **service.authorization())[0] == 403
    assert get_cluster(insecure(service))[0] == grpc.StatusCode.UNAUTHENTICATED


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, a server's certificate of it (for localhost and 127.0.0.1) and a client's."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], cwd=folder, check=True, capture_output=True)

    def new(name, *more):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}", *more)
    new("ca", "-days", 2)
    new("server", "-days", 2, "-CA", "ca.crt", "-CAkey", "ca.key",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE")
    new("client", "-days", 2, "-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "basicConstraints=CA:FALSE")
    new("stranger", "-days", 2)
    return folder


def tls_flags(folder):
    return "--tls-cert", folder / "server.crt", "--tls-key", folder / "server.key"


def test_tls_for_grpc_and_http(start, certificates):
    service = start(*tls_flags(certificates))
    assert "ends on" in service.stderr(), "the certificate is good for two days"
    token, ca = ("--token-file", service.token_file), ("--tls-ca", certificates / "ca.crt")
    assert cli("list", *token, *ca, server=service.grpc).returncode == DONE
    assert cli("list", *ca, server=service.grpc).returncode == WRONG
    assert cli("list", *token, server=service.grpc).returncode == UNREACHABLE
    stranger = ("--tls-ca", certificates / "stranger.crt")
    assert cli("list", *token, *stranger, server=service.grpc).returncode == UNREACHABLE
    assert service.cli("list").returncode == DONE, "the socket needs none of it"

    link = urllib.parse.urlsplit(service.cli("page").stdout.strip())
    assert link.scheme == "https" and link.netloc == service.http
    context = ssl.create_default_context(cafile=certificates / "ca.crt")
    connection = http.client.HTTPSConnection(service.http, context=context, timeout=PATIENCE)
    connection.request("GET", f"{link.path}?{link.query}")
    answer = connection.getresponse()
    answer.read()
    assert "; Secure" in answer.headers["Set-Cookie"]
    connection.request("GET", "/", headers={"Cookie": answer.headers["Set-Cookie"].partition(";")[0]})
    answer = connection.getresponse()
    assert answer.status == 200 and b"Kartograph" in answer.read()
    connection.close()
    with socket.create_connection(service.http.rsplit(":", 1), timeout=PATIENCE) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP/1.1 200" not in plain.recv(4096)


def test_clients_of_grpc_may_need_a_certificate_too(start, certificates):
    service = start(*tls_flags(certificates), "--tls-client-ca", certificates / "ca.crt")
    known = ("--token-file", service.token_file, "--tls-ca", certificates / "ca.crt")
    own = ("--tls-cert", certificates / "client.crt", "--tls-key", certificates / "client.key")
    assert cli("list", *known, server=service.grpc).returncode == UNREACHABLE
    assert cli("list", *known, *own, server=service.grpc).returncode == DONE
    assert cli("list", *known[2:], *own, server=service.grpc).returncode == WRONG, "and the token"
    stranger = ("--tls-cert", certificates / "stranger.crt", "--tls-key", certificates / "stranger.key")
    assert cli("list", *known, *stranger, server=service.grpc).returncode == UNREACHABLE


@pytest.mark.parametrize("certificate, key, said", [
    ("server.crt", "client.key", "is not the key"), ("nowhere.crt", "server.key", "nowhere.crt"),
    ("server.key", "server.key", "no certificate"), ("server.crt", "server.crt", "no private key")])
def test_certificates_that_are_none_are_refused_by_name(start, certificates, certificate, key, said):
    with pytest.raises(StartFailed) as failed:
        start("--tls-cert", certificates / certificate, "--tls-key", certificates / key)
    lines = failed.value.stderr.strip().splitlines()
    assert len(lines) == 1 and said in lines[0] and str(certificates) in lines[0]


def test_grpc_may_have_its_socket_alone(start):
    service = start(listen_grpc="none")
    assert service.grpc == service.server
    assert service.cli("list").returncode == DONE
