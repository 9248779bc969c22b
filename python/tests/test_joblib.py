"""joblib on a cluster. Skipped where joblib is not installed."""

import threading

import pytest

import kartograph

joblib = pytest.importorskip("joblib", minversion="1.3")


@pytest.fixture()
def on_cluster(service):
    kartograph.register_joblib()
    with joblib.parallel_config("kartograph", service=service.address, consumption={"cpu": 0.5}):
        yield


def test_parallel(on_cluster):
    values = joblib.Parallel(n_jobs=2)(joblib.delayed(pow)(n, 2) for n in range(12))
    assert values == [n ** 2 for n in range(12)]


def test_as_many_jobs_as_the_cluster_has_cores(on_cluster):
    assert joblib.effective_n_jobs(-1) >= 1
    assert joblib.Parallel(n_jobs=-1)(joblib.delayed(abs)(-n) for n in range(3)) == [0, 1, 2]


def test_an_error_is_raised_and_the_rest_is_cancelled(on_cluster):
    with pytest.raises(ValueError, match="invalid literal"):
        joblib.Parallel(n_jobs=2)(joblib.delayed(int)(text) for text in ("1", "x", "3"))
    assert joblib.Parallel(n_jobs=2)(joblib.delayed(int)(text) for text in ("1", "3")) == [1, 3]


def test_nothing_is_left_running(on_cluster):
    joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(n) for n in range(2))
    for thread in threading.enumerate():
        if thread.name == "kartograph-futures":
            thread.join(30)
            assert not thread.is_alive()
