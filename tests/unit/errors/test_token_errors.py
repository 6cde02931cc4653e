"""What the answers of the token API mean."""

from __future__ import annotations

import pytest

from isikit.errors import POP, TokenError, token_error

ROWS: list[tuple[int, str | int, str, int, bool]] = [
    (200, 40020503, "pop.ram_denied", 502, False),
    (200, "40020503", "pop.ram_denied", 502, False),
    (200, "", "pop.no_token", 503, True),
    (403, "Forbidden.RAM", "pop.ram_denied", 502, False),
    (403, "Forbidden", "pop.ram_denied", 502, False),
    (403, "NoPermission", "pop.ram_denied", 502, False),
    (404, "EntityNotExist.Role", "pop.role_unknown", 502, False),
    (400, "Throttling", "pop.throttled", 503, True),
    (400, "Throttling.User", "pop.throttled", 503, True),
    (400, "Throttling.Api", "pop.throttled", 503, True),
    (400, "Throttling.Something.New", "pop.throttled", 503, True),
    (503, "ServiceUnavailable", "pop.unavailable", 503, True),
    (500, "InternalError", "pop.unavailable", 503, True),
    (404, "InvalidAccessKeyId", "pop.access_key_unknown", 502, False),
    (404, "InvalidAccessKeyId.NotFound", "pop.access_key_unknown", 502, False),
    (403, "InvalidAccessKeyId.Inactive", "pop.access_key_unknown", 502, False),
    (400, "InvalidSecurityToken", "pop.security_token_invalid", 503, True),
    (400, "InvalidSecurityToken.Expired", "pop.security_token_invalid", 503, True),
    (400, "InvalidSecurityToken.Malformed", "pop.security_token_invalid", 503, True),
    (403, "InvalidSecurityToken.MismatchWithAccessKey", "pop.security_token_invalid", 503, True),
    (400, "MissingSecurityToken", "pop.security_token_invalid", 503, True),
    (400, "SignatureDoesNotMatch", "pop.signature_mismatch", 502, False),
    (400, "IncompleteSignature", "pop.signature_mismatch", 502, False),
    (400, "InvalidParameter.RoleArn", "pop.role_unknown", 502, False),
    (400, "InvalidTimeStamp", "pop.clock_skew", 503, True),
    (400, "InvalidTimeStamp.Expired", "pop.clock_skew", 503, True),
    (400, "SignatureNonceUsed", "pop.nonce_used", 503, True),
    (404, "InvalidAction.NotFound", "pop.address", 502, False),
    (400, "InvalidVersion", "pop.address", 502, False),
    (0, "SDK.HttpError", "pop.unreachable", 503, True),
    (0, "SDK.ServerUnreachable", "pop.unreachable", 503, True),
    (500, "SDK.UnknownServerError", "pop.unavailable", 503, True),
    (0, "SDK.InvalidRegionId", "pop.address", 502, False),
    (0, "SDK.EndpointResolvingError", "pop.address", 502, False),
    (0, "", "pop.unreachable", 503, True),
    (429, "Unheard", "pop.throttled", 503, True),
    (502, "Unheard", "pop.unavailable", 503, True),
    (400, "Unheard.Of", "pop.refused", 502, False),
]


@pytest.mark.parametrize(("http_status", "code", "ours", "status", "retryable"), ROWS)
def test_an_answer_means(http_status: int, code: str | int, ours: str, status: int, retryable: bool) -> None:
    error = token_error(http_status, code)
    assert isinstance(error, TokenError)
    assert (error.code, error.status, error.retryable) == (ours, status, retryable)
    assert error.advice.endswith(".")


def test_every_row_of_the_table_is_expected_here() -> None:
    assert set(POP) <= {str(row[1]) for row in ROWS}


def test_a_code_that_is_really_a_message_is_not_kept() -> None:
    assert token_error(200, "Token not in response: {'Id': 'c0c1'}").upstream_code is None
