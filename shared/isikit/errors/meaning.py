"""A row of the mapping tables: what a service's code means to us."""

from __future__ import annotations

import re
from dataclasses import dataclass

from isikit.errors.tree import IsiError

_UPSTREAM_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a service's code means to us: a row's right half.

    Parameters
    ----------
    kind
        Class of the error.
    code
        Our own stable code.
    advice
        What a person can do about it.
    status, retryable, retry_after
        Where the row differs from its class.
    """

    kind: type[IsiError]
    code: str
    advice: str = ""
    status: int | None = None
    retryable: bool | None = None
    retry_after: int | None = None

    def error(self, upstream_code: object = None) -> IsiError:
        """A new error of this meaning. `upstream_code` is kept only if it looks like a code: texts hold tokens."""
        error = self.kind(code=self.code, retry_after=self.retry_after)
        error.advice = self.advice or self.kind.advice
        if self.status is not None:
            error.status = self.status
        if self.retryable is not None:
            error.retryable = self.retryable
        if not error.retryable:
            error.retry_after = None
        if upstream_code is not None and _UPSTREAM_CODE.match(str(upstream_code)):
            error.upstream_code = str(upstream_code)
        return error
