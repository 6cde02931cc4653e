"""How an error becomes a problem document."""

from __future__ import annotations

from isikit.errors.tree import IsiError

_TYPE_PREFIX = "urn:speech-functions:problem:"


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
    if error.retry_after is not None:
        document["retry_after"] = error.retry_after
    if error.errors:
        document["errors"] = [mistake.as_dict() for mistake in error.errors]
    return document
