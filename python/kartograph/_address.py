"""Where the service is, and what opens it: found as the command line finds them."""

from __future__ import annotations

import os
import pathlib
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Union, runtime_checkable

from kartograph.errors import ServiceNotFound

DEFAULT_PORT = 50061
SOCKET = "run/grpc.sock"  # in the state folder
# What the kernel allows for the path of a socket; gRPC has no way around it.
MAX_SOCKET_PATH = 107
MAX_TOKEN_BYTES = 4096


@runtime_checkable
class HasAddress(Protocol):
    """What `kartograph.local` yields, for one."""

    @property
    def address(self) -> str:
        """Of the service: "host:port" or "unix:/path"."""


# What a client may be given: something with an address, an address, or nothing.
Where = Union[HasAddress, str, None]


@dataclass(frozen=True)
class Endpoint:
    """An address as gRPC takes it, and what opens it. `ca`, `certificate` and `key` are the PEM texts of TLS."""

    address: str
    token: str = ""
    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = b""

    @property
    def is_socket(self) -> bool:
        """Whether it is a socket of this machine, which needs no token."""
        return self.address.startswith("unix:")


def default_state_folder(environment: Mapping[str, str] = os.environ) -> pathlib.Path:
    """Where this user's service keeps its state if nobody says otherwise."""
    if os.geteuid() == 0:
        return pathlib.Path("/var/lib/kartograph")
    states = environment.get("XDG_STATE_HOME", "")
    if states.startswith("/"):  # a relative one is to be ignored, as the specification of these folders says
        return pathlib.Path(states) / "kartograph"
    home = environment.get("HOME", "")
    if not home.startswith("/"):
        home = pwd.getpwuid(os.geteuid()).pw_dir
    return pathlib.Path(home) / ".local/state/kartograph"


def complete_address(address: str) -> str:
    """"host:port" or "unix:/absolute/path" of what was given; ValueError says what would be right."""
    if address.startswith("unix:"):
        path = address[len("unix:"):]
        path = path[2:] if path.startswith("//") else path
        if not path:
            raise ValueError("unix: needs the path of a socket after it")
        path = os.path.abspath(path)
        if len(os.fsencode(path)) > MAX_SOCKET_PATH:
            raise ValueError(f"the path of the socket {path} is longer than {MAX_SOCKET_PATH} bytes, which is what "
                             "the system allows: use a shorter state folder, or TCP with the token")
        return "unix:" + path
    scheme, separator, _ = address.partition("://")
    if separator:
        raise ValueError(f'an address is "host:port" or "unix:/path", without "{scheme}://"; the service listens for '
                         f"gRPC on port {DEFAULT_PORT} unless it was started with another")
    if not address or address != address.strip():
        raise ValueError(f'an address is "host:port" or "unix:/path"; {address!r} is neither')
    host_end = address.find("]") if address.startswith("[") else 0
    colon = address.find(":", max(host_end, 0))
    if colon < 0:
        return f"{address}:{DEFAULT_PORT}"
    return f"{address}{DEFAULT_PORT}" if colon == len(address) - 1 else address


def find_service(where: Where = None, *, token: str | None = None, ca: str | os.PathLike[str] | None = None,
                 environment: Mapping[str, str] = os.environ) -> Endpoint:
    """The endpoint of what a client was given.

    With nothing, the variables KARTOGRAPH_SERVER (with KARTOGRAPH_TOKEN_FILE, KARTOGRAPH_TLS_CA, KARTOGRAPH_TLS_CERT,
    KARTOGRAPH_TLS_KEY) and KARTOGRAPH_STATE_FOLDER, then the default state folder. `ca` is the PEM file of the
    authority of the service's certificate. Raises ServiceNotFound where nothing was given and no service runs,
    ValueError or OSError where something is wrong with what was given.
    """
    if where is not None and not isinstance(where, str):
        if not isinstance(where, HasAddress):
            raise TypeError(f"the service is given by a Service, an address or None, not by {type(where).__name__}")
        where = where.address
    if not where:
        where = environment.get("KARTOGRAPH_SERVER", "")
    if not where:
        folder = pathlib.Path(environment.get("KARTOGRAPH_STATE_FOLDER", "") or default_state_folder(environment))
        socket = folder.absolute() / SOCKET
        if not socket.exists():
            raise ServiceNotFound(
                f"no service of yours is running here (there is no {socket}): start kartographd, give the address of "
                "another service or set KARTOGRAPH_SERVER, or use kartograph.local() for a private one")
        return Endpoint(complete_address(f"unix:{socket}"))
    address = complete_address(where)
    if address.startswith("unix:"):
        return Endpoint(address)
    if token is None:
        file = environment.get("KARTOGRAPH_TOKEN_FILE", "")
        token = _read_token(file) if file else ""
    certificate, key = (_read(environment.get(name, ""), name) for name in ("KARTOGRAPH_TLS_CERT",
                                                                            "KARTOGRAPH_TLS_KEY"))
    if bool(certificate) != bool(key):
        raise ValueError("KARTOGRAPH_TLS_CERT and KARTOGRAPH_TLS_KEY belong together")
    authorities = _read(os.fspath(ca), "ca") if ca else _read(environment.get("KARTOGRAPH_TLS_CA", ""),
                                                               "KARTOGRAPH_TLS_CA")
    if certificate and not authorities:
        raise ValueError("KARTOGRAPH_TLS_CERT needs KARTOGRAPH_TLS_CA, the authority of the service's certificate "
                         "(the system's are in /etc/ssl/certs/ca-certificates.crt)")
    return Endpoint(address, _check_token(token, "token"), authorities, certificate, key)


def _read(path: str, name: str) -> bytes:
    if not path:
        return b""
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{name}: cannot read {path}: {error.strerror}") from error


def _read_token(path: str) -> str:
    with open(path, "rb") as file:
        return _check_token(file.read(MAX_TOKEN_BYTES + 1).decode("ascii", "replace").strip(), path)


def _check_token(token: str, origin: str) -> str:
    if token and (len(token) > MAX_TOKEN_BYTES or not all("!" <= character <= "~" for character in token)):
        raise ValueError(f"{origin}: a token is one word, as in the file `token` of the service's state folder")
    return token
