r"""What travels between client and worker: one line that any program can read, then a pickle.

The line is JSON behind a magic word:

    kartograph-python {"format": 1, "python": "3.11", "cloudpickle": "2.2", ...}\n<pickle>

It says which Python wrote the pickle, so that another one can say what is wrong instead of failing inside of pickle.
A *call* is what a task runs, a *result* what came of it. Of an exception, type, text and traceback are in the line too.
"""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import dataclass
from typing import Any

import cloudpickle

from kartograph import _pickling
from kartograph.errors import NotReadable, RemoteException, RemoteTraceback

MAGIC = b"kartograph-python "
FORMAT = 1
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
CLOUDPICKLE = ".".join(cloudpickle.__version__.split(".")[:2])
# Of a text in the line. A message or traceback may be of any length; its ends say most.
MAX_TEXT = 64 << 10
# Of an exception's pickle. A longer one would be over the limit of return values, and nobody would know what it was.
MAX_EXCEPTION = 16 << 20


def seal(header: dict[str, Any], payload: bytes) -> bytes:
    """An envelope of our versions."""
    line = {"format": FORMAT, "python": PYTHON, "cloudpickle": CLOUDPICKLE, **header}
    return MAGIC + json.dumps(line, separators=(",", ":")).encode() + b"\n" + payload


def is_envelope(data: bytes) -> bool:
    """Whether a worker or client of this package wrote it."""
    return data.startswith(MAGIC)


def open_header(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The line and the pickle. Raises NotReadable where it is no envelope of a format that we know."""
    line, newline, payload = data[len(MAGIC):].partition(b"\n")
    try:
        header = json.loads(line) if is_envelope(data) and newline else None
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise NotReadable("these bytes were not written by the Python package kartograph")
    if header.get("format") != FORMAT:
        raise NotReadable(f"it was written in format {header.get('format')}, and this version of the package "
                          f"kartograph reads format {FORMAT}: install the same version on both sides")
    return header, payload


def check_versions(header: dict[str, Any], writer: str, reader: str) -> None:
    """Raises NotReadable where another Python or cloudpickle wrote the pickle. `writer` and `reader` are for people."""
    for key, ours, what in (("python", PYTHON, "Python"), ("cloudpickle", CLOUDPICKLE, "cloudpickle")):
        theirs = header.get(key)
        if theirs != ours:
            raise NotReadable(f"{writer} has {what} {theirs} and {reader} has {what} {ours}: objects travel only "
                              f"between the same versions; {reader} is {sys.executable}")


# --- Results -------------------------------------------------------------------------------------------------


@dataclass
class Result:
    """What came of a call: `exception` is None where it returned `value`."""

    value: Any = None
    exception: BaseException | None = None


def seal_value(value: Any) -> bytes:
    """Raises NotPicklable."""
    payload, _ = _pickling.dump(value, "the return value")
    return seal({"kind": "value"}, payload)


def seal_exception(error: BaseException) -> bytes:
    """Never fails: what cannot be pickled is replaced by a RemoteException."""
    text = format_exception(error)
    header = {"kind": "exception", "type": _type_name(error), "text": _cut(_text(error)), "traceback": _cut(text)}
    try:
        payload = _pickling.dump(_take_apart(error, {}), "the exception")[0]
    except Exception:  # whatever it is: the line says what people need
        payload = b""
    return seal(header, payload if len(payload) <= MAX_EXCEPTION else b"")


def open_result(data: bytes) -> Result:
    """What `seal_value` or `seal_exception` wrote. What cannot be read is an exception, too: NotReadable."""
    try:
        header, payload = open_header(data)
    except NotReadable as error:
        return Result(exception=error)
    kind = header.get("kind")
    try:
        if kind == "exception":
            return Result(exception=_read_exception(header, payload))
        check_versions(header, "the worker", "this client")
        return Result(value=_pickling.load(payload))
    except Exception as error:
        # Also what a class's own code raises: it must not look like an error of our caller's.
        return Result(exception=error)


def _read_exception(header: dict[str, Any], payload: bytes) -> BaseException:
    stand_in = RemoteException(str(header.get("type", "")), str(header.get("text", "")))
    error: BaseException = stand_in
    try:
        check_versions(header, "the worker", "this client")
        if payload:
            error = _put_together(_pickling.load(payload), {})
    except Exception:
        error = stand_in
    _attach(error, RemoteTraceback(str(header.get("traceback", ""))))
    return error


def _attach(error: BaseException, remote: RemoteTraceback) -> None:
    """Makes `remote` the cause of the first exception of the chain, so that it is printed with it, and first."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if before is None or id(before) in seen:
            break
        error = before
    error.__cause__ = remote


# An exception pickles to its type and arguments alone. What belongs to it besides is taken apart and put together
# again: causes, contexts, notes, members of groups.


def _take_apart(error: BaseException, memo: dict[int, int]) -> dict[str, Any]:
    known = memo.get(id(error))
    if known is not None:
        return {"same": known}
    memo[id(error)] = number = len(memo)
    parts: dict[str, Any] = {
        "number": number,
        "type": _type_name(error),
        "text": _cut(_text(error)),
        "suppress": error.__suppress_context__,
        "notes": [str(note) for note in getattr(error, "__notes__", ())],
        "cause": error.__cause__ and _take_apart(error.__cause__, memo),
        "context": error.__context__ and _take_apart(error.__context__, memo),
    }
    if _is_plain_group(error):
        parts["message"] = error.args[0]
        parts["members"] = [_take_apart(member, memo) for member in error.exceptions]  # type: ignore[attr-defined]
    else:
        parts["pickle"] = _pickle_of(error)
    return parts


def _pickle_of(error: BaseException) -> bytes | None:
    """Its pickle, if that can be read again: many exceptions can be written only."""
    try:
        data, _ = _pickling.dump(error, "the exception")
        return data if type(_pickling.load(data)) is type(error) else None
    except Exception:
        return None


def _put_together(parts: dict[str, Any], memo: dict[int, BaseException]) -> BaseException:
    if "same" in parts:
        return memo[parts["same"]]
    error: BaseException
    if "members" in parts:
        members = [_put_together(member, memo) for member in parts["members"]]
        error = _group(parts["message"], members)
    else:
        error = RemoteException(parts["type"], parts["text"])
        if parts["pickle"] is not None:
            try:
                error = _pickling.load(parts["pickle"])
            except Exception:  # its code is not there, or fails here
                error = RemoteException(parts["type"], parts["text"])
    memo[parts["number"]] = error
    if parts["notes"] and not getattr(error, "__notes__", None):
        error.__dict__["__notes__"] = list(parts["notes"])
    # In the order in which they were taken apart, as the second may be the same as the first.
    if parts["cause"]:
        error.__cause__ = _put_together(parts["cause"], memo)
    if parts["context"]:
        error.__context__ = _put_together(parts["context"], memo)
    error.__suppress_context__ = parts["suppress"]
    return error


def _is_plain_group(error: BaseException) -> bool:
    # Of groups with a type of their own, only the pickle knows how to make one.
    return sys.version_info >= (3, 11) and type(error) in (ExceptionGroup, BaseExceptionGroup)  # noqa: F821


def _group(message: str, members: list[BaseException]) -> BaseException:
    if sys.version_info >= (3, 11):
        return BaseExceptionGroup(message, members)  # noqa: F821
    return RemoteException("ExceptionGroup", message)  # pragma: no cover: versions differ, so this is not reached


def format_exception(error: BaseException) -> str:
    """As Python prints it."""
    try:
        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception as failure:  # such as a __str__ that raises
        return f"{_type_name(error)} (and printing it raised {type(failure).__name__})\n"


def _type_name(error: BaseException) -> str:
    kind = type(error)
    prefix = "" if kind.__module__ in ("builtins", "__main__") else kind.__module__ + "."
    return prefix + kind.__qualname__


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failure:
        return f"(its text cannot be had: {type(failure).__name__})"


def _cut(text: str) -> str:
    # Lone surrogates, as in names of files that are no UTF-8, cannot be encoded.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[:MAX_TEXT // 2]} ... {text[-MAX_TEXT // 2:]}"
