"""The same verbs for asyncio: `AsyncExecuter`."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

from kartograph._address import Where
from kartograph._executer import Finished, TaskExecuter
from kartograph._sending import TaskId


class AsyncExecuter:
    """`TaskExecuter` whose verbs are coroutines; everything else is as there.

        async with AsyncExecuter() as executer:
            await executer.execute(task)
            async for task, value, exception in executer.finished():
                ...

    Belongs to one event loop, whose tasks may share it. What `pop_finished` returned is acknowledged by the next call
    to it, whichever task makes that.
    """

    def __init__(self, service: Where = None, *, token: str | None = None, ca: str | os.PathLike[str] | None = None,
                 queue: str = "", consumer: str = "", name: str = "", **options: Any) -> None:
        self._executer = TaskExecuter(service, token=token, ca=ca, queue=queue, consumer=consumer, name=name, **options)
        # Of its own, so that many who execute do not hinder the one who waits. One thread pops, as each thread
        # acknowledges what it had itself.
        self._calls = ThreadPoolExecutor(8, "kartograph-aio")
        self._pops = ThreadPoolExecutor(1, "kartograph-aio-pop")
        self._arrivals: set[asyncio.Future[None]] = set()

    async def execute(self, task: Any, after: Any = (), name: str = "", title: str = "", **options: Any) -> TaskId:
        """As `TaskExecuter.execute`."""
        return await self._call(self._executer.execute, task, after, name, title, **options)  # type: ignore[no-any-return]

    async def execute_all(self, tasks: Iterable[Any], after: Any = (), **options: Any) -> list[TaskId]:
        """As `TaskExecuter.execute_all`."""
        return await self._call(self._executer.execute_all, list(tasks), after, **options)  # type: ignore[no-any-return]

    async def cancel(self, task: Any) -> None:
        """As `TaskExecuter.cancel`."""
        await self._call(self._executer.cancel, task)

    async def explain(self, task: Any) -> str:
        """As `TaskExecuter.explain`."""
        return str(await self._call(self._executer.explain, task))

    async def pop_finished(self, task: Any = None, timeout: float | None = 0) -> list[Finished]:
        """As `TaskExecuter.pop_finished`. A wait that is cancelled loses nothing."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while True:
            arrival = self._next_arrival(loop)
            try:
                popped = await self._pop_now(task)
                left = None if deadline is None else deadline - loop.time()
                if popped or (left is not None and left <= 0):
                    return popped
                await asyncio.wait_for(arrival, left)
            except asyncio.TimeoutError:
                return []
            finally:
                arrival.cancel()

    async def _pop_now(self, task: Any) -> list[Finished]:
        taken = await self._pop(lambda: self._executer._take(task, 0), back=lambda taken: taken)
        opened = await self._pop(lambda: self._executer._open(taken), back=lambda _: taken)
        return self._executer._settle(taken, opened)

    async def _pop(self, function: Callable[[], Any], back: Callable[[Any], Any]) -> Any:
        """Calls it in the thread that pops. Where the wait is cancelled, `back` of its answer is given back."""
        popping = asyncio.get_running_loop().run_in_executor(self._pops, function)
        try:
            return await asyncio.shield(popping)
        except asyncio.CancelledError:
            popping.add_done_callback(lambda done: self._give_back(done, back))
            raise

    def _give_back(self, done: asyncio.Future[Any], back: Callable[[Any], Any]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._pops.submit(self._executer._receiver.give_back, back(done.result()))

    def _next_arrival(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """Done when something arrives from now on."""
        arrival: asyncio.Future[None] = loop.create_future()
        self._arrivals.add(arrival)
        arrival.add_done_callback(self._arrivals.discard)

        def tell() -> None:
            for one in list(self._arrivals):
                if not one.done():
                    one.set_result(None)

        def on_arrival() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(tell)
        self._executer._receiver.on_arrival = on_arrival
        return arrival

    async def finished(self) -> AsyncIterator[Finished]:
        """What finishes, one by one, until everything that was executed here has been popped."""
        while self._executer.unfinished:
            for one in await self.pop_finished(timeout=None):
                yield one

    def id_of(self, task: Any) -> TaskId | None:
        """As `TaskExecuter.id_of`."""
        return self._executer.id_of(task)

    @property
    def unfinished(self) -> int:
        """As `TaskExecuter.unfinished`."""
        return self._executer.unfinished

    async def close(self, acknowledge: bool = True) -> None:
        """As `TaskExecuter.close`."""
        await self._call(self._executer.close, acknowledge)
        self._calls.shutdown(wait=False)
        self._pops.shutdown(wait=False)

    async def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        call = functools.partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._calls, call)

    async def __aenter__(self) -> AsyncExecuter:
        return self

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        await self.close(acknowledge=kind is None)
