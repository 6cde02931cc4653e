"""`scripts/soak NAME ...`: runs one soak. They live with the tests, whose stand-ins they use."""

from __future__ import annotations

import importlib
import sys

from ops.build import ROOT


def main() -> None:
    """Entry point: the first argument is a module of `tests/soak` with a `main(arguments)`."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "shared")]
    names = sorted(file.stem for file in (ROOT / "tests" / "soak").glob("*.py") if not file.stem.startswith("test_"))
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        sys.exit(f"usage: scripts/soak {{{','.join(names)}}} [--help]")
    sys.exit(importlib.import_module(f"soak.{sys.argv[1]}").main(sys.argv[2:]))


if __name__ == "__main__":
    main()
