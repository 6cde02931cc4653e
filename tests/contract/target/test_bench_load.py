"""The load that benchmarks make: right answers are counted, wrong ones end it, and its absence of `wrk` is told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.bench import load, servers

ASKED = load.Request("/v1/x", {"content-type": "application/json"}, b'{"a": "\\"quoted\\" \xc3\xa4"}')


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    folder = tmp_path_factory.mktemp("bare")
    (folder / "answer.json").write_bytes(b'{"answer": 42}')
    command = [sys.executable, "-m", "ops.bench.bare", str(folder / "answer.json")]
    environment = {"PYTHONPATH": str(Path(__file__).parents[3])}
    with servers.serving(command, environment, folder / "bare.log", servers.free_port()) as server:
        yield server


@pytest.fixture(params=["as installed", "without wrk"])
def tool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "without wrk":
        monkeypatch.setattr(load.shutil, "which", lambda name: None)
    return load.tool()


def test_each_run_gives_a_rate_a_percentile_and_processor_time(bare: servers.Server, tool: str) -> None:
    target = load.Target("bare", bare)
    load.interleaved([target], ASKED, 1, 0.3)
    assert [len(series.values) for series in (target.rate, target.p99_ms, target.cpu_us)] == [1, 1, 1]
    assert target.rate.median > 10
    assert target.p99_ms.median > 0


def test_a_wrong_answer_is_never_a_figure(bare: servers.Server, tool: str) -> None:
    broken = load.Request("/v1/x", {"content-type": "application/json"}, b"{no json")
    with pytest.raises(load.Failed):
        load.interleaved([load.Target("one", bare)], broken, 1, 0.3)


def test_a_client_in_python_says_that_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load.shutil, "which", lambda name: None)
    assert "Python client" in load.tool()


def test_ratios_are_taken_run_by_run_and_their_median_counts() -> None:
    ratios = load.ratios(load.Series([1.0, 30.0, 3.0]), load.Series([2.0, 10.0, 4.0]))
    assert (ratios.values, ratios.median) == ([0.5, 3.0, 0.75], 0.75)


def test_a_server_that_never_listens_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "START_SECONDS", 1.0)
    log = tmp_path / "dead.txt"
    command = [sys.executable, "-c", "print('no such luck')"]
    with (
        pytest.raises(servers.NotStarted, match="no such luck"),
        servers.serving(command, {}, log, servers.free_port()),
    ):
        pass
