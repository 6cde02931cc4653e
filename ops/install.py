"""Makes `.venv` from the hashed locks, and renews it when they change. Standard library only: it runs before anything.

`run` holds the layers' packages and the cloud on a laptop, `dev` adds tests and lint. Two at once wait for each other.
"""

from __future__ import annotations

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # before anything slow: Ctrl-C ends this at once and in silence

import fcntl  # noqa: E402
import hashlib  # noqa: E402
import shutil  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import venv  # noqa: E402
from pathlib import Path  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
LOCKS = {
    "run": ("requirements.txt", "requirements-audio.txt", "requirements-local.txt"),
    "dev": ("requirements.txt", "requirements-audio.txt", "requirements-local.txt", "requirements-dev.txt"),
}


def main(kind: str) -> None:
    """Bring `.venv` up to what `kind` needs; silent and instant when it already is."""
    stamp = VENV / ".locks"
    if _satisfied(stamp, kind):
        return
    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _satisfied(stamp, kind):
            return
        started = time.monotonic()
        if not (VENV / "bin/python").exists():
            print("making .venv", flush=True)
            shutil.rmtree(VENV, ignore_errors=True)
            venv.create(VENV, symlinks=True)
            _bootstrap_pip()
        stamp.unlink(missing_ok=True)
        for name in LOCKS[kind]:
            _install(ROOT / name, started)
        lines = [f"{other}={_digest(other)}" for other in LOCKS if set(LOCKS[other]) <= set(LOCKS[kind])]
        stamp.write_text("\n".join(lines))


def _satisfied(stamp: Path, kind: str) -> bool:
    return stamp.exists() and f"{kind}={_digest(kind)}" in stamp.read_text().splitlines()


def _digest(kind: str) -> str:
    return hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in LOCKS[kind])).hexdigest()


def _bootstrap_pip() -> None:
    """Give the new environment a pip; some distributions keep `ensurepip` in a package of its own."""
    python = str(VENV / "bin/python")
    bundled = subprocess.run([python, "-m", "ensurepip"], capture_output=True, check=False)
    if bundled.returncode:
        borrowed = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "pip"]
        if subprocess.run(borrowed, check=False).returncode:
            shutil.rmtree(VENV)
            sys.exit(
                "pip is needed: install it for this Python, for example the packages python3-pip and python3-venv."
            )


def _install(lock: Path, started: float) -> None:
    count = lock.read_text().count("==")
    print(f"[{time.monotonic() - started:3.0f} s] installing {count} packages of {lock.name}", flush=True)
    command = [str(VENV / "bin/python"), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes",
               "--disable-pip-version-check", "--requirement", str(lock)]  # fmt: skip
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "WARNING" not in line]
        sys.exit(f"pip could not install {lock.name}; is the package registry reachable?\n" + "\n".join(errors[-12:]))


if __name__ == "__main__":
    main(sys.argv[1])
