"""CPython's own tests of executors, where Python comes with its tests: those that hold for every executor."""

import importlib
import unittest

import pytest

import kartograph

try:
    theirs = importlib.import_module("test.test_concurrent_futures")
    theirs.ExecutorTest  # noqa: B018
    theirs.sleep_and_print  # noqa: B018
except (ImportError, AttributeError):
    pytest.skip("this Python comes without its tests, or they are arranged in another way", allow_module_level=True)


class Mixin:
    worker_count = 5

    @pytest.fixture(autouse=True)
    def _with_service(self, service):
        self.executor = kartograph.KartographExecutor(service, consumption={"cpu": 0.2})
        yield
        self.executor.shutdown(wait=True)


class TestExecutor(Mixin, theirs.ExecutorTest, unittest.TestCase):
    test_max_workers_negative = None  # the cluster decides how many run


class TestWait(Mixin, theirs.WaitTests, unittest.TestCase):
    pass


class TestAsCompleted(Mixin, theirs.AsCompletedTests, unittest.TestCase):
    pass


class TestShutdown(Mixin, theirs.ExecutorShutdownTest, unittest.TestCase):
    # They make executors of concurrent.futures in programs of their own; test_futures.py has the same.
    test_interpreter_shutdown = None
    test_submit_after_interpreter_shutdown = None
    test_hang_gh83386 = None
    # It holds for executors whose calls cannot be cancelled once they run.
    test_cancel_futures = None
