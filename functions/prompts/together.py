"""Several things at once, of which none goes on alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")


async def every(work: Sequence[Awaitable[T]]) -> list[T]:
    """All results in order. One failure, or the end of the caller, ends all: nothing runs on when this returns."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        unfinished = [task for task in tasks if not task.done()]
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished)


async def both(one: Awaitable[A], other: Awaitable[B]) -> tuple[A, B]:
    """The same for two results of their own types."""
    work: list[Awaitable[Any]] = [one, other]
    first, second = await every(work)
    return first, second
