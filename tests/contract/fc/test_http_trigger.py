from __future__ import annotations

from typing import Any

from yarl import URL


async def test_the_function_sees_method_raw_target_headers_and_body(lab: Any) -> None:
    url = await lab.create()
    async with lab.http.post(
        URL(url + "/a%20b/%E4%BD%A0?x=1&y=%2F", encoded=True), data=b"hello", headers={"X-Api-Key": "k.s"}
    ) as answer:
        seen = await answer.json()
        assert answer.headers["x-fc-request-id"].startswith("1-")
    headers = {name.lower(): value for name, value in seen["headers"]}
    assert (seen["method"], seen["body"]) == ("POST", "hello")
    assert seen["target"] == "/a%20b/%E4%BD%A0?x=1&y=%2F"
    assert headers["x-api-key"] == "k.s"
    assert headers["x-fc-control-path"] == "/http-invoke"
    assert headers["x-fc-function-name"] == "probe"
    assert headers["x-fc-region"] == "cn-beijing"
    assert "connection" not in headers or headers["connection"].lower() != "close"
