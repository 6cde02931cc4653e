"""The manifest's check must see every mistake that a person makes in it: generated, one at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops import check_manifest, manifest
from ops.check_manifest import ENVIRONMENT, MANIFEST

Place = tuple[Any, ...]


def every_place(node: Any, place: Place = ()) -> Iterator[Place]:
    """Every key and item of the document."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield (*place, key)
        yield from every_place(child, (*place, key))


def at(document: Any, place: Place) -> Any:
    for part in place:
        document = document[part]
    return document


def wrong_type(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes"
    if isinstance(value, str):
        return {"a": 1} if "${" not in value else ["x"]
    return "text" if isinstance(value, (int, float)) else 7


ENUMERATED = {
    *("custom.debian12", "3.0.0", "fc3", "default", "live", "http", "oss", "timer", "anonymous", "None"),
    *("initialize", "pre_stop", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"),
}


def is_enumerated(value: Any) -> bool:
    return isinstance(value, str) and (value in ENUMERATED or value.startswith("oss:ObjectCreated:"))


def mutations() -> Iterator[tuple[str, Place, Any]]:
    """(what was done, where, the document with it)."""
    document = yaml.safe_load(MANIFEST.read_text())
    for place in every_place(document):
        parent, key, value = place[:-1], place[-1], at(document, place)
        if isinstance(key, str):
            changed = copy.deepcopy(document)
            home = at(changed, parent)
            home[key + "x"] = home.pop(key)
            yield "misspelt", place, changed
        changed = copy.deepcopy(document)
        del at(changed, parent)[key]
        yield "dropped", place, changed
        changed = copy.deepcopy(document)
        at(changed, parent)[key] = wrong_type(value)
        yield "wrong type", place, changed
        broken = []
        if is_enumerated(value):
            broken.append("wrong enum")
        if isinstance(value, str) and value.startswith("acs:"):
            broken += ["arn without its start", "arn with a blank", "arn of somebody else"]
        for how in broken:
            changed = copy.deepcopy(document)
            at(changed, parent)[key] = {
                "wrong enum": f"{value}x",
                "arn without its start": value[4:],
                "arn with a blank": value.replace(":", ": ", 1),
                "arn of somebody else": value.replace("${vars.account}", "9999999999999999"),
            }[how]
            yield how, place, changed


def test_the_manifest_is_right_by_the_real_cli_and_by_every_check_of_ours() -> None:
    assert check_manifest.check(MANIFEST) == []
    assert check_manifest.differences(MANIFEST) == []


def test_every_generated_mistake_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    seen, missed = 0, []
    for how, place, document in mutations():
        path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False))
        if check_manifest.check(path):
            seen += 1
        else:
            missed.append((how, ".".join(map(str, place))))
    assert missed == []
    assert seen > 600


def test_a_difference_between_the_cli_and_our_loader_is_told_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    right = manifest.load

    def wrong(path: Path, **options: Any) -> manifest.Manifest:
        loaded = right(path, **options)
        loaded.resources["tts"].props["triggers"][0]["triggerConfig"]["methods"] = ["GET"]
        return loaded

    monkeypatch.setattr(manifest, "load", wrong)
    (said,) = check_manifest.differences(MANIFEST, ENVIRONMENT)
    assert said.startswith("resources.tts.triggers[0].triggerConfig.methods: s preview says")


def test_the_destination_that_is_commented_out_is_right_where_it_is_wanted(tmp_path: Path) -> None:
    text = MANIFEST.read_text()
    begin = text.index("        # destinationConfig:")
    wanted = (
        text[begin:].replace("        # ", "        ").replace("REGION:ACCOUNT", f"cn-beijing:{check_manifest.ACCOUNT}")
    )
    path = tmp_path / "s.yaml"
    path.write_text(text[:begin] + wanted.replace("/NAME/", "/transcripts/"))
    assert check_manifest.check(path, ENVIRONMENT) == []
    told = manifest.load(path, env=ENVIRONMENT, account_id=check_manifest.ACCOUNT)
    assert "destinationConfig" in told.resources["asr"].props["asyncInvokeConfig"]
