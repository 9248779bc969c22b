"""A virtual machine on a disk of its own: it boots, runs shell scripts, and loses its power."""

import base64
import os
import pathlib
import shutil
import socket
import subprocess
import tarfile
import time

# Emulated without KVM, a machine takes 15 to 20 s to its first command, and more on a busy host.
BOOT_PATIENCE = 180
PATIENCE = 120

KERNEL_ARGUMENTS = ("root=/dev/nvme0n1 rootfstype=ext4 rw console=ttyS0 quiet mitigations=off "
                    "panic=-1 systemd.show_status=0")


class ScriptFailed(AssertionError):
    """A script ended with another status than 0."""


class Machine:
    """`files` (path in the machine to path here) are unpacked into the root folder at each boot."""

    def __init__(self, image, folder, files):
        self.image, self.folder = pathlib.Path(image), pathlib.Path(folder)
        self.disk = self.folder / "disk.img"
        self.console = self.folder / "console.log"
        self._files = self.folder / "files.tar"
        self._qemu = self._line = None
        self._received = b""
        # Holes stay holes, so this is fast.
        subprocess.run(["cp", "--sparse=always", self.image / "root.img", self.disk], check=True)
        with tarfile.open(self._files, "w") as archive:
            for name, path in files.items():
                archive.add(path, name, filter=self._owned_by_root)
        size = self._files.stat().st_size
        os.truncate(self._files, (size + 0xFFFFF) & ~0xFFFFF)

    @staticmethod
    def _owned_by_root(info):
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        return info

    def boot(self):
        """Starts the machine and waits until it takes scripts."""
        line = self.folder / "commands.sock"
        line.unlink(missing_ok=True)
        self._qemu = subprocess.Popen(
            ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
             "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024",
             "-kernel", self.image / "vmlinux", "-append", KERNEL_ARGUMENTS,
             "-drive", f"file={self.disk},if=none,id=d0,format=raw",
             "-drive", f"file={self._files},if=none,id=d1,format=raw,readonly=on",
             "-device", "nvme,id=nv,serial=vm",
             "-device", "nvme-ns,drive=d0,bus=nv,nsid=1", "-device", "nvme-ns,drive=d1,bus=nv,nsid=2",
             "-serial", f"file:{self.console}", "-serial", f"unix:{line},server=on,wait=off"],
            stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + BOOT_PATIENCE
        while not line.exists():
            assert self._qemu.poll() is None and time.monotonic() < deadline, "qemu has not started"
            time.sleep(0.05)
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(str(line))
        self._received = b""
        while self._read_line(deadline, "the boot") != b"ready":
            pass
        return self

    def _read_line(self, deadline, what):
        while b"\n" not in self._received:
            left = deadline - time.monotonic()
            if left <= 0:
                self.cut_power()  # a late answer would be taken for another script's
                raise AssertionError(f"no answer in time: {what}\n{self._last_words()}")
            self._line.settimeout(left)
            try:
                chunk = self._line.recv(65536)
            except TimeoutError:
                continue
            if not chunk:
                raise AssertionError(f"the machine has ended: {what}\n{self._last_words()}")
            self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        return line.strip(b"\r")

    def _last_words(self):
        return self.console.read_text(errors="replace")[-3000:]

    def run(self, script, patience=PATIENCE):
        """Runs a shell script as root; returns its status and what it said on either stream."""
        self._line.settimeout(patience)
        self._line.sendall(base64.b64encode(script.encode()) + b"\n")
        answer = self._read_line(time.monotonic() + patience, script)
        status, _, output = answer.partition(b" ")
        return int(status), base64.b64decode(output).decode(errors="replace")

    def sh(self, script, patience=PATIENCE):
        """Runs a shell script that must succeed; returns what it said, without the last newline."""
        status, output = self.run(script, patience)
        if status:
            raise ScriptFailed(f"{script}\nended with {status}:\n{output}")
        return output.rstrip("\n")

    def eventually(self, script, patience=PATIENCE):
        """Runs a script again and again until it succeeds; returns what it said."""
        deadline = time.monotonic() + patience
        while True:
            status, output = self.run(script)
            if status == 0:
                return output.rstrip("\n")
            if time.monotonic() > deadline:
                raise ScriptFailed(f"{script}\nnever succeeded; the last time:\n{output}")
            time.sleep(0.2)

    def cut_power(self):
        """The machine is gone at once; what its disk has confirmed is there at the next boot."""
        self._qemu.kill()
        self._qemu.wait()
        self._line.close()

    def close(self):
        if self._qemu is not None and self._qemu.poll() is None:
            self.cut_power()
        shutil.rmtree(self.folder, ignore_errors=True)
