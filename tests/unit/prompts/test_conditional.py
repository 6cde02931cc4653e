"""RFC 9110, sections 13 and 14, for one representation."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from functions.prompts.conditional import Decision, NotModified, Part, Representation, Unsatisfiable, Whole, decide

HAS = Representation(1000, '"ABC"', 784111777.0)
DATE, BEFORE, AFTER = (
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:36 GMT",
    "Sun, 06 Nov 1994 08:49:38 GMT",
)


@pytest.mark.parametrize(
    ("headers", "decision"),
    [
        ({}, Whole()),
        ({"if-none-match": '"ABC"'}, NotModified()),
        ({"if-none-match": 'W/"ABC"'}, NotModified()),
        ({"if-none-match": '"X", W/"ABC", "Y"'}, NotModified()),
        ({"if-none-match": '"X, ABC"'}, Whole()),
        ({"if-none-match": "*"}, NotModified()),
        ({"if-none-match": "ABC"}, Whole()),
        ({"if-none-match": '"abc"'}, Whole()),
        ({"if-modified-since": DATE}, NotModified()),
        ({"if-modified-since": AFTER}, NotModified()),
        ({"if-modified-since": BEFORE}, Whole()),
        ({"if-modified-since": "yesterday"}, Whole()),
        ({"if-none-match": '"X"', "if-modified-since": DATE}, Whole()),
        ({"range": "bytes=0-0"}, Part(0, 0)),
        ({"range": "bytes=10-"}, Part(10, 999)),
        ({"range": "bytes=-10"}, Part(990, 999)),
        ({"range": "bytes=-2000"}, Part(0, 999)),
        ({"range": "bytes=990-2000"}, Part(990, 999)),
        ({"range": "BYTES=1-2"}, Part(1, 2)),
        ({"range": "bytes=1000-"}, Unsatisfiable()),
        ({"range": "bytes=-0"}, Unsatisfiable()),
        ({"range": "bytes=5-4"}, Whole()),
        ({"range": "bytes=0-1,3-4"}, Whole()),
        ({"range": "bytes=-"}, Whole()),
        ({"range": "bytes=a-b"}, Whole()),
        ({"range": "items=0-1"}, Whole()),
        ({"range": "bytes=" + "9" * 5000 + "-"}, Whole()),
        ({"range": "bytes=0-9", "if-range": '"ABC"'}, Part(0, 9)),
        ({"range": "bytes=0-9", "if-range": 'W/"ABC"'}, Whole()),
        ({"range": "bytes=0-9", "if-range": '"X"'}, Whole()),
        ({"range": "bytes=0-9", "if-range": DATE}, Part(0, 9)),
        ({"range": "bytes=0-9", "if-range": AFTER}, Whole()),
        ({"range": "bytes=0-9", "if-none-match": '"ABC"'}, NotModified()),
    ],
)
def test_every_condition_is_decided_as_the_rfc_says(headers: dict[str, str], decision: Decision) -> None:
    assert decide("GET", Headers(headers), HAS) == decision


def test_head_has_no_ranges() -> None:
    assert decide("HEAD", Headers({"range": "bytes=0-0"}), HAS) == Whole()


def test_etags_in_several_header_lines_count_all() -> None:
    lines = Headers(raw=[(b"if-none-match", b'"X"'), (b"if-none-match", b'"ABC"')])
    assert decide("GET", lines, HAS) == NotModified()


def test_the_date_is_an_http_date() -> None:
    assert HAS.http_date == DATE
