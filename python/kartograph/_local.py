"""`local()`: a private service on this machine, for as long as this program wants it."""

from __future__ import annotations

import contextlib
import html
import importlib.metadata
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kartograph import _keeper
from kartograph._client import Connection
from kartograph._task import check_consumption
from kartograph.errors import KartographError, ServiceError, ServiceNotFound

PROGRAM = "kartographd"
# How long the service may take to start, and to end with all its tasks, in seconds.
START = 60.0
END = 30.0


class Service:
    """A service that belongs to this program; a context manager that ends it. Safe with threads.

    It ends with this program, even if that is killed, and so do everything it runs and its history.
    """

    def __init__(self, command: Sequence[str], folder: pathlib.Path) -> None:
        self.folder = folder
        self._keeper = subprocess.Popen([sys.executable, "-I", "-S", _keeper.__file__, str(folder), *command],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """For clients of this user on this machine; it needs no token."""
        return f"unix:{self.folder}/state/run/grpc.sock"

    @property
    def page(self) -> str:
        """A link to the status page that logs one browser in. It works once, and for five minutes."""
        connection = Connection(self.address)
        try:
            return connection.page()
        finally:
            connection.close()

    def log(self) -> str:
        """What the service has logged."""
        return (self.folder / "kartographd.log").read_text(errors="replace")

    def close(self) -> None:
        """Ends the service and everything that it runs. May be called again."""
        for pipe in (self._keeper.stdin, self._keeper.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._keeper.wait(END)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_until_ready(self) -> None:
        output = self._keeper.stdout
        assert output is not None
        deadline, said = time.monotonic() + START, b""
        while not re.search(rb"^ready .*\n", said, re.MULTILINE):
            if not select.select([output], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise KartographError(f"{PROGRAM} was not ready after {START:g} s:\n{self.log()}")
            part = os.read(output.fileno(), 4096)
            if not part:
                # The keeper has passed on what the service said.
                raise KartographError(f"{PROGRAM} did not start: {said.decode(errors='replace').strip()}")
            said += part

    def __enter__(self) -> Service:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<kartograph.Service {self.address}>"

    def _repr_html_(self) -> str:
        try:
            page = f'<a href="{html.escape(self.page)}" target="_blank">status page</a> (the link works once)'
        except ServiceError:
            page = "ended"
        return f"<div><b>Kartograph</b> {html.escape(self.address)}: {page}</div>"


def local(cpu: float | None = None, ram: int | str | None = None, *, pools: Mapping[str, float] | None = None,
          resources: Mapping[str, float] | None = None, settings: Sequence[str] = ()) -> Service:
    """Starts a private service in a temporary folder.

        with kartograph.local(cpu=4, pools={"db_connections": 4}) as service:
            with kartograph.TaskExecuter(service) as executer:
                ...

    `cpu` is in cores and `ram` in bytes, or a text such as "12GiB"; by default, what this machine has. `pools` are
    resources that no machine has, `resources` further ones of this machine, both in units. `settings` are further
    arguments of `kartographd`. The program is what KARTOGRAPHD names, that of the installed wheel, or the one in PATH:
    else ServiceNotFound. Raises KartographError with its words if it does not start.
    """
    program = find_program()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kartograph-"))
    command = [program, "--state", str(folder / "state"), "--grpc", "none", "--http", "127.0.0.1:0"]
    if cpu is not None:
        command += ["--cpu", _number(cpu)]
    if ram is not None:
        command += ["--ram", str(ram)]
    for flag, quantities in (("--pool", pools), ("--resource", resources)):
        for name, quantity in check_consumption(quantities or {}).items():
            command += [flag, f"{name}={_number(quantity)}"]
    try:
        return Service([*command, *settings], folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def find_program() -> str:
    """The path of kartographd. Raises ServiceNotFound."""
    given = os.environ.get("KARTOGRAPHD", "")
    if given:
        if not os.access(given, os.X_OK):
            raise ServiceNotFound(f"KARTOGRAPHD is {given}, which is not a program that can be run")
        return os.path.abspath(given)
    found = _installed() or shutil.which(PROGRAM)
    if not found:
        raise ServiceNotFound(f"there is no {PROGRAM}: neither has this package been installed with one, nor is one in "
                              "PATH; set KARTOGRAPHD to its path")
    return found


def _installed() -> str | None:
    """The program that this package's wheel brought along: where it is depends on how it was installed.

    A notebook's interpreter may be of an environment whose programs are not in PATH.
    """
    package = pathlib.Path(__file__).resolve().parent
    places = [package.parent / "bin" / PROGRAM]  # of `pip install --target`
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        wheel = importlib.metadata.distribution("kartograph")
        # Not so where this is a checkout beside another one that is installed.
        if pathlib.Path(str(wheel.locate_file("kartograph"))).resolve() == package:
            places[:0] = [pathlib.Path(str(file.locate())) for file in wheel.files or () if file.name == PROGRAM]
    return next((os.path.abspath(place) for place in places if os.access(place, os.X_OK)), None)


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
