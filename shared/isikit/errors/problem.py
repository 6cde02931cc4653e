"""How an error becomes a problem document."""

from __future__ import annotations

from isikit.errors.tree import IsiError

_TYPE_PREFIX = "urn:speech-functions:problem:"


def retry_after(error: IsiError) -> int | None:
    """Seconds after which trying again makes sense. Every 503 that may be tried again says so, if only "soon"."""
    if error.retry_after is None and error.retryable and error.status == 503:
        return 1
    return error.retry_after


def problem(error: IsiError, request_id: str) -> dict[str, object]:
    """The problem document of an error (RFC 9457).

    Parameters
    ----------
    error
        Any error of the tree.
    request_id
        Finds the request's log lines.

    Returns
    -------
    dict
        `type, code, status, title, detail, request_id`, and `retry_after` and `errors` where they apply.
    """
    document: dict[str, object] = {
        "type": _TYPE_PREFIX + error.code,
        "code": error.code,
        "status": error.status,
        "title": error.title,
        "detail": f"{error.detail} {error.advice}".strip(),
        "request_id": request_id,
    }
    if (seconds := retry_after(error)) is not None:
        document["retry_after"] = seconds
    if error.errors:
        document["errors"] = [mistake.as_dict() for mistake in error.errors]
    return document
