"""The command line of a soak: how long, from which seed, and how far it is."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

Told = Callable[[Any], None]


def run(
    arguments: list[str],
    name: str,
    count: int,
    unit: str,
    soak: Callable[[int, int, Told], Coroutine[Any, Any, Any]],
    done: Callable[[Any], int],
) -> int:
    """Run it, with a line on stderr twenty times on the way and its report at the end; 1 where something was wrong.

    Parameters
    ----------
    count, unit
        How many of what, unless `--count` says otherwise.
    soak
        Takes seed, count and whom to tell its report on the way; its report has `wrong`.
    done
        How many a report counts.
    """
    parser = argparse.ArgumentParser(prog=f"scripts/soak {name}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=count, help=unit)
    options = parser.parse_args(arguments)
    logging.disable()
    begun_at = time.monotonic()
    step = next_line = max(1, options.count // 20)

    def told(report: Any) -> None:
        nonlocal next_line
        if done(report) >= next_line:
            next_line += step
            print(f"{time.monotonic() - begun_at:6.1f} s  {report}", file=sys.stderr)  # noqa: T201

    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):  # the instances' logs
        report = asyncio.run(soak(options.seed, options.count, told))
    print(f"{time.monotonic() - begun_at:6.1f} s  {report}")  # noqa: T201
    return 1 if report.wrong else 0
