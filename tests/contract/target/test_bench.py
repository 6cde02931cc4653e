"""The bench of localcloud itself: it measures, says what it misses, and judges by medians."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.bench import localcloud, servers
from ops.bench.localcloud import Series, Store


def store(name: str, put_ms: list[float], get_ms: list[float]) -> Store:
    return Store(name, None, Series(put_ms), Series(get_ms))


def test_the_median_of_the_runs_counts_not_the_best_or_worst(capsys: pytest.CaptureFixture[str]) -> None:
    ours = store("localcloud V4", [1, 9, 3, 9, 2], [1, 1, 1, 1, 1])
    assert localcloud.report([ours, store("moto V1", [3, 3, 3, 3, 3], [2] * 5)])
    assert "(1.00 to 9.00)" in capsys.readouterr().out
    assert not localcloud.report([ours, store("moto V1", [2.9] * 5, [2] * 5)])
    assert "put at least as fast as moto: MISSED" in capsys.readouterr().out


def test_without_moto_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert localcloud.report([store("localcloud V4", [1], [1])])
    assert "moto is not installed" in capsys.readouterr().out
    assert not servers.has_moto("/no/such/python")


def test_it_measures_a_localcloud_of_its_own(tmp_path: Path) -> None:
    stores = localcloud.storage(tmp_path, "/no/such/python", runs=1, calls=2)
    assert [(one.name, one.errors) for one in stores] == [("localcloud V4", 0), ("localcloud V1", 0)]
    assert all(one.put.median_ms > 0 and one.get.median_ms > 0 for one in stores)


def test_a_server_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the directory should be")
    with pytest.raises(servers.NotStarted), servers.localcloud(tmp_path / "out", deployed=False):
        pass
