"""Layer versions outlive the process, as they do in the cloud."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.fc.registry import Registry
from support.fc_lab import make_zip


async def publish(lab: Any, name: str, text: str) -> Any:
    code = lab.models.InputCodeLocation(zip_file=make_zip({"lib.py": text}))
    body = lab.models.CreateLayerVersionInput(code=code, compatible_runtime=["custom.debian12"], description="first")
    return await lab.call("create_layer_version", name, lab.models.CreateLayerVersionRequest(body=body))


def started_again(lab: Any) -> Registry:
    clock = Clock()
    return Registry((lab.root / "fc").resolve(), Account(clock), clock, lambda _: None)


async def test_a_layer_version_is_there_after_a_restart(lab: Any) -> None:
    await publish(lab, "base", "1")
    assert started_again(lab).layers == lab.fc.registry.layers


async def test_a_number_is_not_given_again_after_a_restart(lab: Any) -> None:
    await publish(lab, "base", "1")
    await publish(lab, "base", "2")
    await lab.call("delete_layer_version", "base", "2")
    again = started_again(lab)
    assert list(again.layers["base"]) == [1]
    package = again.layer_version("base", "1").package
    assert again.create_layer_version("base", {}, package).version == 3


@pytest.mark.parametrize("damage", ["no package", "no json", "other json"])
async def test_what_is_damaged_is_left_out_and_can_be_published_anew(lab: Any, damage: str) -> None:
    await publish(lab, "base", "1")
    if damage == "no package":
        shutil.rmtree(lab.fc.registry.layer_version("base", "1").package.directory)
    else:
        text = "{" if damage == "no json" else '{"versions": 1}'
        (lab.root / "fc" / "layers.json").write_text(text)
    assert not started_again(lab).layers
