"""The program's own modules as blobs: folders and wheels that workers import from."""

from __future__ import annotations

import io
import os
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kartograph._blobs import Blob

# Looking through a folder is repeated after this many times as long as it took, so that edits are soon seen.
PATIENCE = 20
SKIPPED = ("__pycache__",)
# The earliest time that a zip file can have: an archive depends on names and contents alone.
EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass
class _Packed:
    signature: list[tuple[str, int, int]] = field(default_factory=list)
    blob: Blob | None = None
    fresh_until: float = 0.0


_packed: dict[str, _Packed] = {}
_lock = threading.Lock()


def blobs_of(sources: Sequence[str | os.PathLike[str]]) -> list[Blob]:
    """One for each folder or wheel (or other zip file), as it is now; in this order.

    Raises FileNotFoundError, and ValueError for what is neither.
    """
    with _lock:
        return [_pack(os.path.abspath(source)) for source in sources]


def _pack(path: str) -> Blob:
    packed = _packed.setdefault(path, _Packed())
    began = time.monotonic()
    if packed.blob is not None and began < packed.fresh_until:
        return packed.blob
    files = list(_files(path)) if os.path.isdir(path) else [path]
    signature = [(name, state.st_mtime_ns, state.st_size) for name in files for state in [os.stat(name)]]
    if packed.blob is None or signature != packed.signature:
        packed.blob = Blob(_archive(path, files) if os.path.isdir(path) else _read_zip(path))
        packed.signature = signature
    now = time.monotonic()
    packed.fresh_until = now + PATIENCE * (now - began)
    return packed.blob


def _files(folder: str) -> Iterator[str]:
    """All that may be part of a program, in a fixed order."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        yield from (os.path.join(where, name) for name in sorted(files)
                    if not name.startswith(".") and not name.endswith(".pyc"))


def _archive(folder: str, files: Sequence[str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            with open(file, "rb") as content:
                archive.writestr(zipfile.ZipInfo(os.path.relpath(file, folder), EPOCH), content.read(),
                                 zipfile.ZIP_DEFLATED)
    return data.getvalue()


def _read_zip(path: str) -> bytes:
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is neither a folder nor a wheel: `code` takes these")
    with open(path, "rb") as file:
        return file.read()
