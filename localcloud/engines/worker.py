"""The child process of the `speech` engine: `python -m localcloud.engines.worker [SEED]`, spoken to over its pipes.

It ends when its standard input ends, so that it never outlives its parent.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from localcloud.engines import pipes
from localcloud.engines.models import THREADS, Models


def main() -> None:
    """Answer requests until the end of standard input."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a library prints must not land among the answers
    models, writing = Models(int(sys.argv[1]) if sys.argv[1:] else None), threading.Lock()
    with ThreadPoolExecutor(THREADS) as pool:
        while (message := pipes.read(requests)) is not None:
            pool.submit(_answer, models, message[0], message[1], answers, writing)
        os._exit(0)  # the parent is gone: nobody waits for what is still being worked on


def _answer(models: Models, head: pipes.Head, body: bytes, answers: BinaryIO, writing: threading.Lock) -> None:
    try:
        reply, sound = _work(models, head, body)
    except Exception as error:  # noqa: BLE001 - whatever it was, the parent must hear of it
        reply, sound = {"error": f"{type(error).__name__}: {error}"}, b""
    packed = pipes.pack({"id": head["id"], **reply}, sound)
    with writing:
        view = memoryview(packed)
        while view:
            view = view[answers.write(view) :]


def _work(models: Models, head: pipes.Head, body: bytes) -> tuple[pipes.Head, bytes]:
    if head["do"] == "speak":
        return {}, models.voice().speak(**head["with"])
    if head["do"] == "recognise":
        return {"text": models.ears().recognise(body, head["with"]["rate_hz"])}, b""
    if head["do"] == "load":
        models.voice()
        models.ears()
        return {}, b""
    raise ValueError(f"unknown request {head['do']!r}")


if __name__ == "__main__":
    main()
