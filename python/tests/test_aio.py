"""AsyncExecuter: the same verbs under asyncio."""

import asyncio

import pytest

import kartograph
from kartograph import errors


class Work:
    def __init__(self, n):
        self.n = n

    def consumption(self):
        return {"cpu": 0.1}

    def run(self):
        return self.n // (self.n - 3)


def test_the_verbs(service):
    async def main():
        async with kartograph.AsyncExecuter(service) as executer:
            tasks = [Work(n) for n in range(5)]
            await asyncio.gather(*(executer.execute(task) for task in tasks))
            popped = {id(task): value if exception is None else type(exception)
                      async for task, value, exception in executer.finished()}
            assert popped == {id(tasks[0]): 0, id(tasks[1]): -1, id(tasks[2]): -2, id(tasks[3]): ZeroDivisionError,
                              id(tasks[4]): 4}
            assert await executer.pop_finished() == []
            with pytest.raises(errors.InvalidTask):
                await executer.execute(Work(1), consumption={"unobtainium": 1})
    asyncio.run(main())


def test_several_wait_at_once(service):
    async def main():
        async with kartograph.AsyncExecuter(service) as executer:
            tasks = [Work(n) for n in (4, 5, 6)]
            await executer.execute_all(tasks)
            popped = await asyncio.gather(*(executer.pop_finished(task, timeout=60) for task in reversed(tasks)))
            assert [one[0][0] for one in popped] == tasks[::-1]
    asyncio.run(main())


def test_a_wait_that_is_cancelled_loses_nothing(service):
    async def main():
        async with kartograph.AsyncExecuter(service) as executer:
            waiting = asyncio.ensure_future(executer.pop_finished(timeout=None))
            await executer.execute(Work(4))
            popped = []
            while not popped:
                waiting.cancel()
                try:
                    popped = await waiting
                except asyncio.CancelledError:
                    waiting = asyncio.ensure_future(executer.pop_finished(timeout=60))
                    await asyncio.sleep(0.01)
            assert [value for _, value, _ in popped] == [4]
    asyncio.run(main())


def test_cancel(service):
    async def main():
        async with kartograph.AsyncExecuter(service) as executer:
            first, second = Work(4), Work(5)
            await executer.execute(first, consumption={"cpu": 0.1, "db_connections": 2})
            await executer.execute(second, after=first)
            await executer.cancel(second)
            ended = {id(task): exception async for task, _, exception in executer.finished()}
            assert isinstance(ended[id(second)], (errors.Cancelled, type(None)))
            assert await executer.explain(first)
    asyncio.run(main())
