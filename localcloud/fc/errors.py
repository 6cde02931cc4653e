"""Function Compute's errors: status, code and text as its error code pages list them (api-fc-2023-03-30-errorcodes)."""

from __future__ import annotations

from aiohttp import web


class FcError(Exception):
    """A refusal by the platform, answered as `{"code", "message", "requestId"}`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def invalid(message: str) -> FcError:
    """400: a parameter is missing, malformed or beyond a limit."""
    return FcError(400, "InvalidArgument", message)


def too_large(limit: int) -> FcError:
    """400: the payload is beyond `limit` bytes."""
    return FcError(400, "EntityTooLarge", f"payload size exceeds maximum allowed size ({limit} bytes)")


def not_built(what: str) -> FcError:
    """501: Function Compute has it, localcloud has not. Never a silent success."""
    return FcError(501, "NotImplemented", f"localcloud does not implement {what}")


def function_not_found(name: str) -> FcError:
    """404 for a function."""
    return FcError(404, "FunctionNotFound", f"function '{name}' does not exist.")


def exhausted(message: str) -> FcError:
    """429: no further instance may be started."""
    return FcError(429, "ResourceExhausted", message)


def response(error: FcError, request_id: str) -> web.Response:
    """The error as the API answers it."""
    body = {"code": error.code, "message": error.message, "requestId": request_id}
    return web.json_response(body, status=error.status, headers={"x-fc-request-id": request_id})
