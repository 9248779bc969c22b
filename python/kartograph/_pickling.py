"""How objects travel: cloudpickle, with references in place of what is elsewhere.

A `Reference` in an object graph is written as its id and read as what it stands for: a blob that was put once, or the
return value of another task. So a function gets the value and never sees the reference.
"""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections import deque
from collections.abc import Iterator
from typing import Any, Callable

import cloudpickle

from kartograph.errors import NotPicklable, NotReadable

# Objects looked at in the search for what cannot be pickled, so that it ends soon.
MAX_SEARCH = 2000
PROTOCOL = 5


class Reference:
    """Base class of what is replaced by a value where it is unpickled."""

    def reference(self) -> tuple[str, ...]:
        """Plain strings that say what it stands for; the first one is its kind."""
        raise NotImplementedError


class _Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=PROTOCOL)
        self.found: list[Reference] = []

    def persistent_id(self, value: Any) -> tuple[str, ...] | None:
        if isinstance(value, Reference):
            self.found.append(value)
            return value.reference()
        return None


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, resolve: Callable[[tuple[str, ...]], Any] | None) -> None:
        super().__init__(io.BytesIO(data))
        self._resolve = resolve

    def persistent_load(self, identity: Any) -> Any:
        if self._resolve is None:
            raise NotReadable(f"it refers to {identity!r}, which is only there where tasks run")
        return self._resolve(identity)


def dump(value: Any, name: str) -> tuple[bytes, list[Reference]]:
    """Pickles `value` and returns the bytes and the references in it, in order, each once.

    `name` is what messages call it. Raises NotPicklable with the path to what cannot be pickled.
    """
    file = io.BytesIO()
    pickler = _Pickler(file)
    try:
        pickler.dump(value)
    except Exception as error:  # a __reduce__ or __getstate__ may raise anything
        raise _not_picklable(value, name, error) from error
    return file.getvalue(), list({id(one): one for one in pickler.found}.values())


def load(data: bytes, resolve: Callable[[tuple[str, ...]], Any] | None = None) -> Any:
    """The object that `dump` wrote. `resolve` gives the value of a reference.

    Raises NotReadable where code is missing, and whatever the object's own code raises.
    """
    try:
        return _Unpickler(data, resolve).load()
    except ModuleNotFoundError as error:
        raise NotReadable(f"it needs the module {error.name!r}, which is not installed here: install it, or add the "
                          "folder it is in to PYTHONPATH") from error
    except (pickle.UnpicklingError, EOFError) as error:
        raise NotReadable(f"it is damaged: {error}") from error
    except AttributeError as error:
        raise NotReadable(f"it needs code that is not the same here: {error}") from error


def is_picklable(value: Any) -> bool:
    """Whether `dump` can write it."""
    try:
        _Pickler(io.BytesIO()).dump(value)
    except Exception:
        return False
    return True


# --- What cannot be pickled, and where it is ---------------------------------------------------------------


def _not_picklable(value: Any, name: str, error: Exception) -> NotPicklable:
    if isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError):  # cloudpickle wraps it
        return NotPicklable(f"{name} cannot be pickled: its objects are nested too deeply, more than "
                            f"sys.getrecursionlimit() = {sys.getrecursionlimit()} allows", name)
    path, culprit = _find_culprit(value, name)
    reason = str(error) or type(error).__name__
    advice = ("make it where the task runs, or leave it out in __getstate__" if path != name
              else "it has to be made where the task runs")
    kind = "" if type(culprit).__name__ in reason else f", a {type(culprit).__name__},"
    return NotPicklable(f"{path}{kind} cannot be pickled: {reason}; {advice}", path)


def _find_culprit(value: Any, name: str) -> tuple[str, Any]:
    """Descends from an object that cannot be pickled to the innermost part of it that cannot."""
    seen = {id(value)}
    budget = MAX_SEARCH
    path, culprit = name, value
    while True:
        for child_path, child in _parts(culprit, path):
            budget -= 1
            if budget < 0:
                return path, culprit
            if id(child) not in seen and not is_picklable(child):
                seen.add(id(child))
                path, culprit = child_path, child
                break
        else:
            return path, culprit


def _parts(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """What pickling `value` would pickle as well, with the path to each."""
    if isinstance(value, dict):
        for key, item in list(value.items()):
            yield f"{path}[{_short(key)}]", item
            yield f"the key {_short(key)} of {path}", key
    elif isinstance(value, (list, tuple, deque)):
        for index, item in enumerate(list(value)):
            yield f"{path}[{index}]", item
    elif isinstance(value, (set, frozenset)):
        for item in list(value):
            yield f"an element of {path}", item
    elif isinstance(value, types.FunctionType):
        yield from _parts_of_function(value, path)
    elif isinstance(value, types.MethodType):
        yield f"{path}.__self__", value.__self__
        yield f"{path}.__func__", value.__func__
    if isinstance(value, type):
        for attribute, item in list(vars(value).items()):
            if not attribute.startswith("__") or isinstance(item, types.FunctionType):
                yield f"{path}.{attribute}", getattr(item, "__func__", item)
        return
    if type(value).__name__ == "partial" and hasattr(value, "func"):
        yield from ((f"{path}.{part}", getattr(value, part)) for part in ("func", "args", "keywords"))
    for attribute, item in _state(value):
        yield f"{path}.{attribute}", item
    # An object whose class travels by value.
    if not isinstance(value, (types.FunctionType, types.ModuleType)):
        yield f"type({path})", type(value)


def _state(value: Any) -> list[tuple[str, Any]]:
    own = getattr(type(value), "__getstate__", None)
    if own is not None and own is not getattr(object, "__getstate__", None):
        try:
            state = value.__getstate__()
        except Exception:
            return []
        return list(state.items()) if isinstance(state, dict) else [("__getstate__()", state)]
    items = list(getattr(value, "__dict__", {}).items()) if not isinstance(value, types.FunctionType) else []
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            attribute = f"_{kind.__name__.lstrip('_')}{slot}" if slot.startswith("__") and not slot.endswith("__") \
                else slot
            if slot not in ("__dict__", "__weakref__") and hasattr(value, attribute):
                items.append((attribute, getattr(value, attribute)))
    return items


def _parts_of_function(function: types.FunctionType, path: str) -> Iterator[tuple[str, Any]]:
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            yield f"the variable {variable!r} of {path}", cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    for index, default in enumerate(function.__defaults__ or ()):
        yield f"the default value {index} of {path}", default
    for name, default in (function.__kwdefaults__ or {}).items():
        yield f"the default value of {name!r} of {path}", default
    for name in _globals_of(function.__code__):
        if name in function.__globals__:
            yield f"the global variable {name!r} that {path} uses", function.__globals__[name]


def _globals_of(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _globals_of(constant)


def _short(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= 40 else text[:37] + "..."
