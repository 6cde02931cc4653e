"""Who and what the current request is: its id, its one deadline, its tenant. Lives in a contextvar, and only there."""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar, Token

import msgspec

from isikit.errors.tree import Allowance, DeadlineExceeded

# Ids of callers end up in logs and headers: what does not look like an id is not taken over. SIP Call-IDs hold an @.
_CALL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@+-]{0,127}\Z")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z")
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}\Z")


class Deadline(msgspec.Struct, frozen=True, gc=False):
    """The moment a request must be answered by.

    Wall time, not the monotonic clock: a frozen instance stands still, the caller's patience does not.

    Parameters
    ----------
    at
        Seconds since the epoch.
    """

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """`seconds` from now."""
        return cls(time.time() + seconds)

    def remaining(self) -> float:
        """Seconds left, 0.0 when it has passed: ready to be used as a timeout."""
        return max(0.0, self.at - time.time())

    def sooner(self, seconds: float) -> Deadline:
        """The earlier of this deadline and `seconds` from now."""
        return Deadline(min(self.at, time.time() + seconds))

    def check(self) -> None:
        """Raise `DeadlineExceeded` when it has passed. To be called before anything is spent."""
        if time.time() >= self.at:
            raise DeadlineExceeded


class RequestContext(msgspec.Struct, frozen=True):
    """One request or event. (A Struct, because it is made anew several times a request: a tenth of a dataclass's time.)

    Parameters
    ----------
    request_id
        Function Compute's id, or one made in its form.
    deadline
        When it must be answered.
    tenant_id
        Set by `identity` once known.
    call_id
        The caller's own id of the phone call (`X-Call-Id`), if it looks like an id.
    traceparent
        W3C trace context, passed on and back.
    allowance
        Set by `limits`: what the answer's `RateLimit-*` headers say.
    headers
        Headers that the answer carries whatever it becomes, an error too.
    framed
        The host writes the platform's framing lines around it, see `isikit.logs.write`.
    """

    request_id: str
    deadline: Deadline
    tenant_id: str | None = None
    call_id: str | None = None
    traceparent: str | None = None
    allowance: Allowance | None = None
    headers: Mapping[str, str] | None = None
    framed: bool = False


_current: ContextVar[RequestContext | None] = ContextVar("request", default=None)


def current() -> RequestContext:
    """The request this code runs for.

    Raises
    ------
    LookupError
        Outside of a request.
    """
    context = _current.get()
    if context is None:
        raise LookupError("not inside a request: wrap the call in context.entered(RequestContext(...))")
    return context


def current_or_none() -> RequestContext | None:
    """The request this code runs for, or None outside of one."""
    return _current.get()


@contextlib.contextmanager
def entered(context: RequestContext) -> Iterator[RequestContext]:
    """Run a block inside of `context`; what was current before is current again afterwards."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def enter(context: RequestContext) -> Token[RequestContext | None]:
    """`entered` without a block, for the host; to be undone by `leave`, in the same task."""
    return _current.set(context)


def leave(token: Token[RequestContext | None]) -> None:
    """Make current again what was so before `enter`."""
    _current.reset(token)


def update(
    *,
    tenant_id: str | None = None,
    call_id: str | None = None,
    traceparent: str | None = None,
    allowance: Allowance | None = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Add what became known about the current request; None leaves a field as it is. Outside of a request: nothing."""
    context = _current.get()
    if context is not None:
        _current.set(
            RequestContext(
                context.request_id,
                context.deadline,
                tenant_id or context.tenant_id,
                call_id or context.call_id,
                traceparent or context.traceparent,
                allowance or context.allowance,
                headers or context.headers,
                context.framed,
            )
        )


def new_request_id() -> str:
    """An id in Function Compute's form; its first group is the time in seconds, in hex [observed on the service]."""
    return f"1-{int(time.time()):08x}-{secrets.randbits(32):08x}-{secrets.randbits(48):012x}"


def request_id_of(value: str | None) -> str:
    """The platform's request id if it looks like one, else a new one."""
    return value if value and _REQUEST_ID.match(value) else new_request_id()


def call_id_of(value: str | None) -> str | None:
    """A caller's call id if it looks like one."""
    return value if value and _CALL_ID.match(value) else None


def traceparent_of(value: str | None) -> str | None:
    """A W3C `traceparent` if it is well formed."""
    return value if value and _TRACEPARENT.match(value) else None
