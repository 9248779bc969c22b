"""Objects that many tasks share: uploaded once by content, kept by the agents, unpickled once by a worker."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from kartograph import _pickling
from kartograph.errors import KartographError

# The service keeps what it has for another day from when it was asked.
SURE_FOR = 6 * 3600.0
MAX_ASKED = 1000


class Blob:
    """Bytes and their name, which follows from the content."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.id = blob_id(data)


class Ref(_pickling.Reference):
    """An object that was given to `put`. Where a task gets it as an argument, the task finds the object itself.

    `id` is the SHA-256 of the pickle as 64 hexadecimal digits, `size` the bytes of the pickle. Its copies in other
    processes have the id alone and can be used as long as the service keeps the content.
    """

    def __init__(self, identity: str, size: int, blob: Blob | None = None) -> None:
        self.id = identity
        self.size = size
        self._blob = blob

    @property
    def blob(self) -> Blob | None:
        """The content, where it was put in this process."""
        return self._blob

    def reference(self) -> tuple[str, ...]:
        return ("blob", self.id)

    def __reduce__(self) -> tuple[Any, ...]:
        return Ref, (self.id, self.size)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<kartograph.Ref {self.id[:12]}... of {self.size} bytes>"


def put(value: Any) -> Ref:
    """Makes an object ready to be an argument of many tasks.

    It is pickled now and uploaded with the first task that uses it, once for each service. Tasks must not change
    what they get: it is shared by those that one worker runs. Raises NotPicklable.
    """
    data, references = _pickling.dump(value, "the object")
    if references:
        raise TypeError("what is put must not refer to results of tasks or to other objects that were put")
    blob = Blob(data)
    return Ref(blob.id, len(data), blob)


def blob_id(data: bytes) -> str:
    """The name of a content: its SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


class Uploader:
    """Sees to it that the service has blobs. Safe with threads."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._there: dict[str, float] = {}  # until when we are sure

    def upload(self, contents: dict[str, Blob | None]) -> None:
        """Puts what the service does not have. Without a content, it must have it: else KartographError."""
        from kartograph.v1 import task_executer_pb2 as pb
        with self._lock:  # two threads with one large object send it once
            now = time.monotonic()
            unsure = [identity for identity in contents if self._there.get(identity, 0) < now]
            for start in range(0, len(unsure), MAX_ASKED):
                asked = unsure[start:start + MAX_ASKED]
                answer = self._connection.call("FindMissingBlobs", pb.FindMissingBlobsRequest(blob_ids=asked))
                for identity in answer.blob_ids:
                    self._put(contents[identity] or _missing(identity))
                self._there.update((identity, now + SURE_FOR) for identity in asked)

    def _put(self, blob: Blob) -> None:
        from kartograph._client import PART_BYTES
        from kartograph.v1 import task_executer_pb2 as pb

        def messages() -> Iterator[pb.PutBlobRequest]:
            yield pb.PutBlobRequest(blob=pb.PutBlobRequest.Start(blob_id=blob.id, size=len(blob.data)))
            for offset in range(0, len(blob.data), PART_BYTES):
                yield pb.PutBlobRequest(data=blob.data[offset:offset + PART_BYTES])
        self._connection.send("PutBlob", messages)


def _missing(identity: str) -> NoReturn:
    raise KartographError(f"{identity} was put by another process, and the service does not keep it any more: "
                          "put the object again")


def contents_of(references: Iterable[_pickling.Reference]) -> dict[str, Blob | None]:
    """The blobs among references."""
    return {one.id: one.blob for one in references if isinstance(one, Ref)}
