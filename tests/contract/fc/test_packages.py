"""Packages on disk: unpacked whole or not at all, never outside their directory, used again."""

from __future__ import annotations

import base64
import io
import stat
import zipfile
from pathlib import Path

import pytest

from localcloud.fc.archive import Package, clear_leftovers, merge_layers, store
from localcloud.fc.errors import FcError


def packed(*entries: tuple[str, str, int]) -> str:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, text)
    return base64.b64encode(buffer.getvalue()).decode()


FILE, PROGRAM, LINK = stat.S_IFREG | 0o644, stat.S_IFREG | 0o755, stat.S_IFLNK | 0o777


def test_files_keep_their_content_and_may_be_executed(tmp_path: Path) -> None:
    package = store(tmp_path, "code", packed(("a/b.txt", "text", FILE), ("run", "#!", PROGRAM)))
    assert package.directory == tmp_path / "code" / package.checksum
    assert (package.directory / "a" / "b.txt").read_text() == "text"
    assert (package.directory / "run").stat().st_mode & 0o777 == 0o755
    assert (package.directory / "a" / "b.txt").stat().st_mode & 0o777 == 0o644


def test_a_link_is_kept_but_nothing_is_written_through_it(tmp_path: Path) -> None:
    package = store(tmp_path, "layer", packed(("lib/real.so", "x", FILE), ("lib/name.so", "real.so", LINK)))
    assert (package.directory / "lib" / "name.so").read_text() == "x"
    outside = tmp_path / "outside"
    outside.mkdir()
    with pytest.raises(FcError, match="leaves its directory"):
        store(tmp_path, "layer", packed(("out", str(outside), LINK), ("out/planted", "x", FILE)))
    assert list(outside.iterdir()) == []


def test_a_damaged_package_is_refused_and_leaves_no_directory(tmp_path: Path) -> None:
    data = bytearray(base64.b64decode(packed(("a.txt", "some text " * 100, FILE))))
    data[60] ^= 0xFF
    with pytest.raises(FcError, match="not a whole, readable zip"):
        store(tmp_path, "code", base64.b64encode(data).decode())
    assert list((tmp_path / "code").iterdir()) == []


def test_what_is_unpacked_is_used_again(tmp_path: Path) -> None:
    given = packed(("a.txt", "a", FILE))
    (store(tmp_path, "code", given).directory / "made-by-python.pyc").write_bytes(b"")
    assert (store(tmp_path, "code", given).directory / "made-by-python.pyc").exists()


def test_the_first_listed_layer_wins_whatever_its_files_are(tmp_path: Path) -> None:
    first = store(tmp_path, "layer", packed(("both", "first", FILE), ("link", "both", LINK)))
    second = store(tmp_path, "layer", packed(("both", "second", FILE), ("link", "other", LINK), ("only", "s", FILE)))
    merged = merge_layers(tmp_path, [first, second])
    assert ((merged / "both").read_text(), (merged / "only").read_text()) == ("first", "s")
    assert (merged / "link").readlink() == Path("both")
    assert (second.directory / "both").read_text() == "second", "a layer's own files never change"
    assert merge_layers(tmp_path, [second, first]) != merged
    assert list(merge_layers(tmp_path, []).iterdir()) == []


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    package: Package = store(tmp_path, "code", packed(("a.txt", "a", FILE)))
    (tmp_path / "code" / ".unpacking-x").mkdir()
    (tmp_path / "home" / "c-1").mkdir(parents=True)
    clear_leftovers(tmp_path)
    assert [path.name for path in (tmp_path / "code").iterdir()] == [package.checksum]
    assert not (tmp_path / "home").exists()
