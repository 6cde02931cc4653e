"""What Function Compute's answers to a self-invocation mean."""

from __future__ import annotations

import pytest

from isikit.errors import FC, invocation_error

ROWS: list[tuple[int, str, str, int, bool]] = [
    (403, "AccessDenied", "fc.denied", 502, False),
    (403, "Forbidden", "fc.denied", 502, False),
    (404, "InvalidAccessKeyID", "fc.denied", 502, False),
    (403, "SignatureNotMatch", "fc.denied", 502, False),
    (403, "SignatureDoesNotMatch", "fc.denied", 502, False),
    (404, "FunctionNotFound", "fc.not_found", 502, False),
    (404, "AliasNotFound", "fc.not_found", 502, False),
    (413, "PayloadTooLarge", "fc.too_large", 502, False),
    (413, "EntityTooLarge", "fc.too_large", 502, False),
    (429, "ResourceExhausted", "fc.busy", 503, True),
    (503, "ResourceThrottled", "fc.busy", 503, True),
    (429, "ConcurrencyQuotaExceeded", "fc.busy", 503, True),
    (500, "InternalServerError", "fc.unavailable", 503, True),
    (503, "ServiceUnavailable", "fc.unavailable", 503, True),
    (0, "", "fc.unavailable", 503, True),
    (429, "", "fc.busy", 503, True),
    (500, "Unheard", "fc.unavailable", 503, True),
    (400, "Unheard", "fc.refused", 502, False),
]


@pytest.mark.parametrize(("http_status", "code", "ours", "status", "retryable"), ROWS)
def test_an_answer_means(http_status: int, code: str, ours: str, status: int, retryable: bool) -> None:
    error = invocation_error(http_status, code)
    assert (error.code, error.status, error.retryable) == (ours, status, retryable)


def test_every_row_of_the_table_is_expected_here() -> None:
    assert set(FC) <= {row[1] for row in ROWS}
