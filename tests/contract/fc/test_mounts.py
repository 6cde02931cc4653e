"""`/code` and `/opt` are mapped where a path begins, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.fc.environment import map_mounts


@pytest.mark.parametrize(
    ("text", "mapped"),
    [
        ("/code", "/x/c"),
        ("/opt/python", "/x/o/python"),
        ("/code:/opt/python:/usr/lib", "/x/c:/x/o/python:/usr/lib"),
        ("--file=/code/a.json", "--file=/x/c/a.json"),
        ("a /opt/b", "a /x/o/b"),
        ('{"path": "/code/a"}', '{"path": "/x/c/a"}'),
        ("http://host/code", "http://host/code"),
        ("/home/code/x", "/home/code/x"),
        ("/codes", "/codes"),
        ("/code.zip", "/code.zip"),
        ("in/opt/", "in/opt/"),
        ("", ""),
    ],
)
def test_only_the_beginning_of_a_path_is_mapped(text: str, mapped: str) -> None:
    assert map_mounts(text, Path("/x/c"), Path("/x/o")) == mapped
