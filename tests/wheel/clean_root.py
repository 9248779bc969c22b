"""A Debian 12 with Python and nothing of what Kartograph is built with, to install the wheel in.

Once made, it is kept in .cache/wheel under a hash of what goes into it. Takes root.
"""

import hashlib
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parent.parent / ".cache" / "wheel"

PACKAGES = ["python3-venv"]
SOURCES = [path for path in map(pathlib.Path, ("/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources"))
           if path.exists()]
LIMIT = 120  # seconds that a command in it may take


class CleanRoot:
    """The root folder of that Debian, and what runs in it."""

    def __init__(self):
        made_of = b"".join(path.read_bytes() for path in [pathlib.Path(__file__), *SOURCES])
        self.folder = CACHE / f"root-{hashlib.sha256(made_of).hexdigest()[:16]}"
        if not self.folder.is_dir():
            self._make()

    def _make(self):
        for older in CACHE.glob("root-*"):
            shutil.rmtree(older)
        making = self.folder.with_suffix(".new")
        making.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
             *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")),
             f"--include={','.join(PACKAGES)}", "bookworm", making, *SOURCES],
            check=True, stdin=subprocess.DEVNULL)
        making.rename(self.folder)

    def path(self, inside):
        """Where something of it is, such as "/tmp/x", from here."""
        return self.folder / inside.lstrip("/")

    def run(self, *words, stdin=""):
        """Runs a command in it, with processes and mounts of its own, which end with the command; returns its
        standard output. It sees no variable of ours."""
        ended = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={self.folder}", "--wd=/tmp",
             "--mount-proc", *words], input=stdin, capture_output=True, text=True, check=False, timeout=LIMIT,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"})
        assert ended.returncode == 0, f"{words} ended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout
