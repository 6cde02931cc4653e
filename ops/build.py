"""Builds what is deployed: two layers and one code package, the same bytes from the same inputs.

Layers are installed from the complete hashed lock with `--no-deps --require-hashes`, compiled with unchecked hashes
(timestamps in a zip of fixed times would make every `.pyc` stale) and zipped in sorted order. What is unchanged is not
built again.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import json
import py_compile
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
EPOCH = (2020, 1, 1, 0, 0, 0)  # every entry's time; zip cannot say less than 1980
SIZE_BUDGETS_MB = {"base": 70, "audio": 130, "code": 2}  # unpacked, .pyc included
NEVER_IMPORTED = ("tests", "SelfTest", "*.pyi", "*.pyx", "*.pxd", "*.pxi", "*.c", "*.h", "RECORD", "bin")


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file to deploy. `digest` is the SHA-256 of its inputs, `size_mb` its size unpacked."""

    name: str
    path: Path
    digest: str
    size_mb: float


class BuildError(Exception):
    """The build cannot be finished; the message says why."""


def build(say: Callable[[str], None] = print) -> dict[str, Artefact]:
    """Build what is missing or stale and return the artefacts by name: `base`, `audio`, `code`."""
    BUILD.mkdir(exist_ok=True)
    return {
        "base": _artefact("base", "layers/base.zip", [ROOT / "requirements.txt", ROOT / "shared/isikit"], _base, say),
        "audio": _artefact("audio", "layers/audio.zip", [ROOT / "requirements-audio.txt"], _audio, say),
        "code": _artefact("code", "code.zip", [ROOT / "functions"], _code, say),
    }


def _artefact(
    name: str, file: str, inputs: list[Path], fill: Callable[[Path], None], say: Callable[[str], None]
) -> Artefact:
    path, stamp = BUILD / file, BUILD / f"{name}.json"
    digest = _digest([Path(__file__), *inputs])
    if path.exists() and stamp.exists() and (known := json.loads(stamp.read_text()))["digest"] == digest:
        return Artefact(name, path, digest, known["size_mb"])
    say(f"building {name}")
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        tree = Path(folder) / name
        tree.mkdir()
        fill(tree)
        size_mb = round(sum(file.stat().st_size for file in _files(tree)) / 1e6, 1)
        if size_mb > SIZE_BUDGETS_MB[name]:
            raise BuildError(f"{name} is {size_mb} MB unpacked; its budget is {SIZE_BUDGETS_MB[name]} MB")
        path.parent.mkdir(exist_ok=True)
        partial = Path(folder) / "artefact.zip"
        _zip(tree, partial)
        partial.replace(path)
    stamp.write_text(json.dumps({"digest": digest, "size_mb": size_mb}))
    return Artefact(name, path, digest, size_mb)


def _base(tree: Path) -> None:
    """`python/` with the layer's packages and `isikit`."""
    _copy_sources(ROOT / "shared/isikit", tree / "python/isikit")
    _install(ROOT / "requirements.txt", tree / "python")


def _audio(tree: Path) -> None:
    _install(ROOT / "requirements-audio.txt", tree / "python")


def _code(tree: Path) -> None:
    """The folder `functions/`, so that `functions.prompts.app` imports the same here and in Function Compute."""
    _copy_sources(ROOT / "functions", tree / "functions")
    _compile(tree, "/code")


def _install(lock: Path, target: Path) -> None:
    packages = (
        BUILD / f"packages-{_digest([lock, Path(__file__)])[:16]}"
    )  # apart from our sources: a change there installs nothing
    if not packages.exists():
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            staged = Path(folder) / "packages"
            done = subprocess.run(
                [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--no-compile",
                 "--disable-pip-version-check", "--target", str(staged), "--requirement", str(lock)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise BuildError(f"pip could not install {lock.name}:\n{done.stderr[-2000:]}")
            staged.replace(packages)
    shutil.copytree(packages, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*NEVER_IMPORTED))
    _compile(target, "/opt/python")


def _compile(tree: Path, installed_at: str) -> None:
    """Compile in place; tracebacks name the path in Function Compute, not the one of this machine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # the speech SDK's own: nls/core.py compares a string with `is`
        compileall.compile_dir(
            str(tree), quiet=2, stripdir=str(tree), prependdir=installed_at,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )  # fmt: skip


def _copy_sources(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))


def _files(tree: Path) -> Iterator[Path]:
    return (path for path in sorted(tree.rglob("*")) if path.is_file())


def _zip(tree: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in _files(tree):
            entry = zipfile.ZipInfo(str(path.relative_to(tree)), EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())


def _digest(inputs: list[Path]) -> str:
    digest = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    for path in inputs:
        for file in [path] if path.is_file() else _files(path):
            if "__pycache__" in file.parts:
                continue
            digest.update(f"{file.relative_to(ROOT)}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def main() -> None:
    """`python -m ops.build`: build and print a size report."""
    argparse.ArgumentParser(
        prog="scripts/build", description="Build the layers and the code package into build/."
    ).parse_args()
    try:
        artefacts = build()
    except BuildError as error:
        sys.exit(f"build: {error}")
    for artefact in artefacts.values():
        packed, budget = artefact.path.stat().st_size / 1e6, SIZE_BUDGETS_MB[artefact.name]
        print(f"{artefact.name:6} {artefact.size_mb:6.1f} MB unpacked of {budget}, {packed:5.1f} MB packed")


if __name__ == "__main__":
    main()
