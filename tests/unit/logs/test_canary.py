"""Canaries go in by every road there is, in a real process; nothing of them may come out on stdout or stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = "您的验证码是482913请勿告诉他人"
TOKEN = "c0ffee00c0ffee00c0ffee00c0ffee00"
KEY = "LTAI5tCanaryCanaryCanary"
SIGNED_URL = "https://b.oss.example.com/in/a.wav?x-oss-signature=0123456789abcdef&x-oss-credential=LTAI5tCanary"
CANARIES = {"TEXT": TEXT, "TOKEN": TOKEN, "KEY": KEY, "SIGNED_URL": SIGNED_URL}
TRACES = ["482913", TOKEN, "Canary", "x-oss-signature"]

ROADS = r"""
import asyncio, json, logging, os, sys, threading, warnings
from isikit import logs
from isikit.errors import IsiError, RequestError, FieldError, problem, speech_error, storage_error, token_error
logs.setup("canary")
secrets = [os.environ[name] for name in ("TEXT", "TOKEN", "KEY", "SIGNED_URL")]

class Careless(logging.Formatter):
    def format(self, record):
        return f"{record.getMessage()} {record.exc_info} {record.args} {super().format(record)}"

for secret in secrets:
    # third-party loggers, at every level, with handlers of their own, as the speech SDK adds them
    for name in ("nls", "websocket", "oss2.auth", "urllib3.connectionpool", "aliyunsdkcore", "uvicorn.error", ""):
        logger = logging.getLogger(name)
        for stream in (sys.stdout, sys.stderr):
            handler = logging.StreamHandler(stream)
            handler.setFormatter(Careless())
            logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
            logger.log(level, secret)
            logger.log(level, "%s", secret)
            logger.log(level, "%(a)s", {"a": secret})
            try:
                raise ValueError(secret)
            except ValueError:
                logger.log(level, "failed", exc_info=True, stack_info=True)
    logging.getLogger(secret).error("named by a secret")
    logging.error("%d", secret)  # a broken call: logging would print the arguments
    warnings.warn(secret)

    # exceptions nobody catches
    def fail():
        raise RuntimeError(secret)
    thread = threading.Thread(target=fail); thread.start(); thread.join()
    class Dying:
        def __del__(self):
            raise RuntimeError(secret)
    Dying()
    async def lose():
        asyncio.get_running_loop().create_task(failing()); await asyncio.sleep(0)
    async def failing():
        raise RuntimeError(secret)
    asyncio.run(lose()); import gc; gc.collect()

    # our own
    for road in (
        lambda: logs.event("prompt.served", reason=secret),
        lambda: logs.event(secret),
        lambda: logs.event("prompt.served", level=secret),
    ):
        try:
            road()
        except ValueError as error:
            assert secret not in str(error)
    try:
        raise RuntimeError(secret)
    except RuntimeError as error:
        logs.failure("request.failed", error)
    for error in (
        speech_error(40000001, f"The token '{secret}' is invalid!"),
        token_error(404, f"The token '{secret}' is invalid!"),
        storage_error(type("E", (Exception,), {"status": 404, "code": f"<{secret}>", "message": secret})(secret)),
        RequestError(errors=[FieldError(f"<{secret}>", "unknown")]),
    ):
        logs.failure("request.failed", error)
        print(json.dumps(problem(error, "1"), ensure_ascii=False))
raise RuntimeError(secrets[0])
"""


@pytest.mark.parametrize("where", ["laptop", "deployed"])
def test_no_canary_comes_out_by_any_road(where: str) -> None:
    env = {**os.environ, **CANARIES, "PYTHONPATH": str(Path(__file__).parents[3] / "shared"), "PYTHONUTF8": "1"}
    if where == "deployed":
        env |= {"FC_INSTANCE_ID": "c-1", "FC_FUNCTION_NAME": "speech-tts-dev"}
    command = [sys.executable, "-c", ROADS]
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1, run.stderr  # the uncaught exception at the end
    for trace in TRACES:
        assert trace not in run.stdout
        assert trace not in run.stderr
    events = [json.loads(line) for line in run.stdout.splitlines() if line.startswith('{"time"')]
    assert {"library.warned", "request.failed", "host.failed"} <= {event["event"] for event in events}
    assert "Traceback" not in run.stdout + run.stderr


def test_the_message_that_replaces_a_librarys_own_still_says_who_and_what() -> None:
    code = """
import logging
from isikit import logs
logs.setup("canary")
try:
    raise KeyError("secret")
except KeyError:
    logging.getLogger("oss2.api").warning("secret", exc_info=True)
logging.getLogger("urllib3").info("secret")
"""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "shared")}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True)
    (line,) = run.stdout.splitlines()
    event = json.loads(line)
    assert (event["event"], event["logger"], event["library_level"], event["error_type"]) == (
        "library.warned",
        "oss2.api",
        "warning",
        "KeyError",
    )
    assert run.stderr == ""
