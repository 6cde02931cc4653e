"""One JSON line per event on stdout; Function Compute ships them to the log service.

What may be logged is a closed list (`FIELDS`), and a string must look like a name, a code or an id: that is what keeps
texts, transcripts, tokens, keys, signatures and URLs out, and not somebody's care. Messages of libraries are never
printed, at any level: only who warned, how gravely, and the type of the exception.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import os
import re
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import msgspec

from isikit.errors.tree import IsiError
from isikit.host import context


@dataclass(frozen=True, slots=True)
class Field:
    """One field that may be logged: its JSON type (`int`, `float`, `str`) and meaning."""

    type: type
    meaning: str


FIELDS: dict[str, Field] = {
    "appkey_end": Field(str, "last four characters of an AppKey"),
    "attempt": Field(int, "number of the attempt, from 1"),
    "audio_ms": Field(int, "audio made or read, in ms"),
    "audio_seconds": Field(float, "audio made or read, in s"),
    "bucket_kind": Field(str, "prompts, recordings or state"),
    "bytes": Field(int, "size of what was moved"),
    "cache": Field(str, "hit, miss, coalesced or bypass"),
    "calls_billed": Field(int, "started 100 characters of every request to the speech service"),
    "calls_possible": Field(int, "calls that may have been billed: nobody waited for their answer"),
    "calls_saved": Field(int, "billed calls that the cache made unnecessary"),
    "channels": Field(int, "audio channels"),
    "characters_billed": Field(int, "characters sent to the speech service"),
    "characters_possible": Field(int, "characters that may have been billed: nobody waited for their answer"),
    "characters_saved": Field(int, "characters that the cache made unnecessary to send"),
    "code": Field(str, "our stable error code"),
    "consumer": Field(str, "profile of who will fetch the prompt"),
    "count": Field(int, "how many"),
    "door": Field(str, "gateway, jwt, api_key or legacy_gateway; also none or several, when refused"),
    "duration_ms": Field(float, "how long it took"),
    "error_type": Field(str, "class of the exception"),
    "expires_in": Field(int, "seconds of life left"),
    "field": Field(str, "path of a setting or of a field in a configuration file"),
    "generation": Field(int, "generation of a job, from 1"),
    "job_id": Field(str, "a transcript job"),
    "kind": Field(str, "of an upload: form or put"),
    "left": Field(int, "how many were left for the next time"),
    "library_level": Field(str, "level of a library's record"),
    "limit": Field(str, "name of a rate or of a daily quota"),
    "locale": Field(str, "language and region"),
    "logger": Field(str, "name of a library's logger"),
    "method": Field(str, "HTTP method"),
    "mode": Field(str, "sentence, file, flash or realtime"),
    "module": Field(str, "Python module that is served"),
    "oldest_seconds": Field(int, "how long, at least, the oldest job is open whose turn it is"),
    "operation": Field(str, "call to a service, for example oss.PutObject"),
    "pieces": Field(int, "pieces a text was split into"),
    "port": Field(int, "port that is listened on"),
    "possible_double": Field(int, "tasks that may have been paid twice: it was not known whether the first was taken"),
    "prompt_id": Field(str, "a prompt; not the URL, which also names the rendition"),
    "reason": Field(str, "why, as a code"),
    "recognitions": Field(int, "stretches of speech sent to be recognised"),
    "rendition": Field(str, "name of a rendition"),
    "retention": Field(str, "permanent or day"),
    "retry_count": Field(int, "how often the platform repeated this event"),
    "route": Field(str, "template of the route, never the path"),
    "sample_rate_hz": Field(int, "sample rate"),
    "state": Field(str, "state of a job or of a circuit"),
    "status": Field(int, "HTTP status"),
    "subject": Field(str, "who a caller is at its door: consumer, key id, sub; <unnamed> where it is no name"),
    "turns": Field(int, "turns of a transcript"),
    "upstream_code": Field(str, "a service's own code, never its text"),
    "use": Field(str, "what a lease is for: realtime_asr, sentence_asr or tts"),
    "voice": Field(str, "voice that was asked for"),
    "wait_ms": Field(float, "time spent waiting for somebody else's work, or for a free place"),
    "where": Field(str, "file:line of our own frame an exception passed last"),
}
"""Everything that may stand in a log line beside its frame. Closed on purpose."""

_KINDS = {name: field.type for name, field in FIELDS.items()}

CAPPED_LOGGERS = ("nls", "websocket", "oss2", "urllib3", "requests", "aliyunsdkcore", "uvicorn", "asyncio")
"""Loggers of libraries that print texts, tokens or signed URLs below WARNING."""

_EVENT_NAME = re.compile(r"[a-z_]+\.[a-z_]+\Z")
# No blank, quote, `?`, `&`, `=` or `%`: neither a sentence nor a signed URL can look like this.
_VALUE = re.compile(r"[A-Za-z0-9_.:/@{}\[\]<>+-]{0,128}\Z")
# What looks like a name but is a secret's own form: speech token, AccessKey id, STS id and STS token.
_SECRET = re.compile(r"[0-9a-f]{32}\Z|LTAI|STS\.|CAIS")
_LEVELS = ("debug", "info", "warning", "error")
_GRAVE = ("warning", "error")
_OURS = ("isikit", "functions")

_state: dict[str, str] = {}
_encode = msgspec.json.Encoder().encode
_writing = threading.RLock()  # taken again in one thread where a destructor warns, by `sys.unraisablehook`
_held: list[str] = []  # lines of this turn of the event loop
_turning: asyncio.AbstractEventLoop | None = None  # the loop that has been asked to write them
_second: tuple[int, str] = (0, "")  # the latest second, and how it is written
_plain_record_factory = logging.getLogRecordFactory()


def event(name: str, *, level: str = "info", **fields: Any) -> None:
    """Write one line.

    Parameters
    ----------
    name
        `noun.verb`, for example `prompt.served`.
    level
        `debug`, `info`, `warning` or `error`.
    **fields
        From `FIELDS`; None is left out. A field that is not listed, or a value that is not of its type or not like a
        name, is dropped on Function Compute and raises elsewhere.

    Raises
    ------
    ValueError
        In development only, see above.
    """
    if not _is_event_name(name) or level not in _LEVELS:
        _mistake(f"event names are noun.verb and levels one of {_LEVELS}")
        return
    line: dict[str, Any] = {
        "time": _now(),
        "level": level,
        "event": name,
        "function": _state["function"] if "function" in _state else os.environ.get("FC_FUNCTION_NAME", ""),
        "instance_id": _state["instance_id"] if "instance_id" in _state else os.environ.get("FC_INSTANCE_ID", ""),
    }
    request = context.current_or_none()
    if request is not None:
        line["request_id"] = request.request_id
        if request.tenant_id:
            line["tenant"] = request.tenant_id
        if request.call_id:
            line["call_id"] = request.call_id
    for field, value in fields.items():
        if value is None:
            continue
        kind = _KINDS.get(field)
        if type(value) is kind and (kind is int or (kind is str and _loggable(value))):
            line[field] = value  # nearly always
        elif kind is None:
            _mistake(f"{field} is not a field that may be logged: see logs.FIELDS")
        elif not _fits(kind, value):
            _mistake(f"the value of {field} is not a {kind.__name__} that may be logged")
        else:
            line[field] = value
    write(_encode(line).decode())
    if level in _GRAVE:
        flush()


def write(line: str) -> None:
    """Put one whole line on stdout, after those before it.

    What a request of the host writes in one turn of the event loop goes out in one write: at its last framing line, or
    when the turn is over. So a warm request makes one write instead of four, and nobody waits for a line.
    """
    text = line + "\n"
    with _writing:
        _held.append(text)
    request = context.current_or_none()
    if request is None or not request.framed or not _until_the_turn_is_over():
        flush()


def flush() -> None:
    """Write out what is held, whole lines only: those of threads never mix. A closed stdout is no error."""
    global _held
    with _writing:
        lines, _held = _held, []
        if not lines:
            return
        try:
            sys.stdout.write("".join(lines))
            sys.stdout.flush()
        except (OSError, ValueError):
            # Nobody reads any more (the platform is stopping us): there is nobody to tell, and the request goes on.
            return


def _until_the_turn_is_over() -> bool:
    """See to it that lines are written when the event loop has finished what it does now; False outside of one."""
    global _turning
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False  # a worker thread's line
    if _turning is not loop:
        _turning = loop
        loop.call_soon(_turned)
    return True


def _turned() -> None:
    global _turning
    _turning = None
    flush()


def failure(name: str, error: BaseException, *, level: str = "error", **fields: Any) -> None:
    """Write an event about an exception: its type, where in our code it passed, its code. Never its message."""
    event(
        name,
        level=level,
        error_type=type(error).__name__,
        where=where(error),
        code=error.code if isinstance(error, IsiError) else None,
        upstream_code=error.upstream_code if isinstance(error, IsiError) else None,
        **fields,
    )


def where(error: BaseException) -> str | None:
    """`functions/prompts/cache.py:88`: the innermost frame of ours that an exception passed. No locals, no source."""
    return _where(error.__traceback__)


def _where(trace: TracebackType | None) -> str | None:
    found = None
    for frame, line in traceback.walk_tb(trace):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in _OURS:
            package = "/__init__" if frame.f_code.co_filename.endswith("__init__.py") else ""
            found = f"{module.replace('.', '/')}{package}.py:{line}"
    return found


def _fits(kind: type, value: Any) -> bool:
    if kind is str:
        return isinstance(value, str) and _loggable(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and (kind is float or isinstance(value, int))


def _now() -> str:
    """RFC 3339 with milliseconds. Most lines share their second with the line before, and so its text."""
    global _second
    milliseconds = time.time_ns() // 1_000_000
    second, written = _second
    if milliseconds // 1000 != second:
        second = milliseconds // 1000
        written = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        _second = (second, written)  # in one step: other threads see the old pair or the new one
    return f"{written}{milliseconds % 1000:03d}Z"


@functools.lru_cache(256)
def _is_event_name(name: str) -> bool:
    return _EVENT_NAME.match(name) is not None


@functools.lru_cache(1024)
def _loggable(text: str) -> bool:
    return _VALUE.match(text) is not None and _SECRET.match(text) is None


def _mistake(what: str) -> None:
    if "FC_INSTANCE_ID" not in os.environ:
        raise ValueError(what)


def _withhold(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = _plain_record_factory(*args, **kwargs)
    error = record.exc_info[1] if record.exc_info else None
    record.error_type = type(error).__name__ if error is not None else None
    record.where = where(error) if error is not None else None
    record.msg, record.args = "(withheld)", None
    record.exc_info = record.exc_text = record.stack_info = None
    return record


class _LibraryHandler(logging.Handler):
    """Turns what libraries log into `library.warned`."""

    def emit(self, record: logging.LogRecord) -> None:
        event(
            "library.warned",
            level="error" if record.levelno >= logging.ERROR else "warning",
            logger=named(record.name),
            library_level=named(record.levelname.lower()),
            error_type=getattr(record, "error_type", None),
            where=getattr(record, "where", None),
        )


def named(text: str) -> str:
    """The text where it looks like a name that may be logged, else `<unnamed>`."""
    return text if _loggable(text) else "<unnamed>"


def setup(function: str = "") -> None:
    """Take over all logging of this process: once, at start.

    The messages are taken out where records are made, not where they are written: the speech SDK adds its own handlers
    to stderr, and `enableTrace` sets loggers to DEBUG. Warnings and exceptions that reach no one (threads, destructors)
    go the same way instead of being printed with their message.

    Parameters
    ----------
    function
        Name that stands in every line where the platform names none.
    """
    _state["function"] = os.environ.get("FC_FUNCTION_NAME") or function
    _state["instance_id"] = os.environ.get("FC_INSTANCE_ID", "")
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(_LibraryHandler(logging.WARNING))
    root.setLevel(logging.WARNING)
    for name in CAPPED_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.setLogRecordFactory(_withhold)
    logging.captureWarnings(True)
    logging.raiseExceptions = False
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda arguments: _lost(arguments.exc_type, arguments.exc_traceback)
    threading.excepthook = lambda arguments: _lost(arguments.exc_type, arguments.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        failure("host.failed", error)


def _lost(kind: type[BaseException], trace: TracebackType | None) -> None:
    if not issubclass(kind, SystemExit):
        event("library.warned", level="error", error_type=kind.__name__, where=_where(trace))
