"""The prompts function with every write to OSS taken down: when it began and when it ended.

`python -m isikit.host ops.bench.traced` serves it; the writes go to the file that `BENCH_WRITES` names.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from functions.prompts.app import app, handler, initialize
from isikit import objects
from isikit.objects.oss import OssStore

__all__ = ["app", "handler", "initialize"]


@contextlib.contextmanager
def _taken_down(target: str) -> Iterator[None]:
    begun = time.perf_counter()
    try:
        yield
    finally:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(f"{begun} {time.perf_counter()}\n")


class _Traced(OssStore):
    """Takes down what changes the bucket."""

    async def put(self, *arguments: Any, **options: Any) -> Any:
        with _taken_down(os.environ["BENCH_WRITES"]):
            return await super().put(*arguments, **options)

    async def append(self, *arguments: Any, **options: Any) -> Any:
        with _taken_down(os.environ["BENCH_WRITES"]):
            return await super().append(*arguments, **options)


objects.OssStore = _Traced  # type: ignore[misc]
