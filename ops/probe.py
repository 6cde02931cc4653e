"""`scripts/probe`: the first day's check of everything in docs/unverified.md, against an account or a localcloud."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

from ops import probe_functions, probe_speech, probe_storage, probe_target
from ops.probe_check import NOT_SEEN, OTHERWISE, Check, Probe, Seen
from ops.probe_target import Target, TargetError

CHECKS: tuple[Check, ...] = (*probe_storage.CHECKS, *probe_speech.CHECKS, *probe_functions.CHECKS)
FAILED = "FAILED"


def run(target: Target, checks: tuple[Check, ...] = CHECKS) -> Counter[str]:
    """Run the checks one after the other, print each, undo what they did, and count the verdicts."""
    probe, verdicts = Probe(target), Counter[str]()
    try:
        for number, check in enumerate(checks, 1):
            started = time.monotonic()
            print(f"{number}/{len(checks)}")
            print(f"  believed  {check.believed}", flush=True)
            seen = _tried(check, probe)
            verdicts[seen.verdict] += 1
            print(f"  seen      {seen.text}  ({time.monotonic() - started:.1f} s)")
            print(f"  verdict   {seen.verdict}", flush=True)
    finally:
        left = _undo(probe)
    if left:
        print(f"\n{left} thing(s) could not be deleted again; their names hold {probe.run_id}")
    return verdicts


def tell(target: Target) -> None:
    """Say what would be done and what it would cost."""
    where = "the localcloud" if target.is_local else "the account of key " + target.access_key_id[:8] + "..."
    print(f"On {where} at {target.oss}, scratch bucket {target.bucket}:\n")
    for check in CHECKS:
        print(f"- {check.believed}\n    costs {check.cost}")
    print("\nIn all: a few hundred OSS requests, at most 12 billed characters of speech, a function for a minute.")


def main() -> None:
    """Entry point. Exit status: 0 all as believed (or not seen), 1 something is otherwise or failed, 2 cannot start."""
    variables = "\n".join(f"  {name:26}{meaning}" for name, meaning in probe_target.VARIABLES.items())
    optional = "\n".join(f"  {name:26}{meaning}" for name, meaning in probe_target.OPTIONAL.items())
    parser = argparse.ArgumentParser(
        prog="scripts/probe",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"an account is named by environment variables:\n{variables}\n\noptional:\n{optional}",
    )
    parser.add_argument("--local", type=Path, metavar="FILE", help="a running localcloud, by its local.json")
    parser.add_argument("--yes", action="store_true", help="do it; without, only tell what it would do and cost")
    options = parser.parse_args()
    try:
        target = probe_target.from_local(options.local) if options.local else probe_target.from_environment(os.environ)
    except TargetError as error:
        print(f"probe: {error}", file=sys.stderr)
        sys.exit(2)
    tell(target)
    if not options.yes:
        print("Nothing was done. Add --yes to run it.")
        return
    print()
    verdicts = run(target)
    print("\n" + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common()))
    if verdicts[NOT_SEEN]:
        print("What was not seen stays unverified.")
    if verdicts[OTHERWISE] or verdicts[FAILED]:
        print("What is otherwise: correct docs/unverified.md (its last column says what it means for the code).")
        sys.exit(1)


def _tried(check: Check, probe: Probe) -> Seen:
    try:
        return check.run(probe)
    except Exception as error:  # noqa: BLE001 - one belief that cannot be checked must not hide the others
        known = (getattr(error, name, None) for name in ("status", "status_code", "code", "error_code"))
        parts = [type(error).__name__, *(str(value) for value in known if isinstance(value, (str, int)))]
        return Seen(" ".join(parts), FAILED)  # never the text: services echo tokens and keys in theirs


def _undo(probe: Probe) -> int:
    left = 0
    for step in reversed(probe.undo):
        try:
            step()
        except Exception:  # noqa: BLE001 - the rest must be undone too; the count is told
            left += 1
    return left


if __name__ == "__main__":
    main()
