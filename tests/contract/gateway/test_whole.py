"""The gateways as localcloud runs them: configured by its admin door, gone with it."""

from __future__ import annotations

import socket
from pathlib import Path

import aiohttp
from yarl import URL

from localcloud.cloud import Cloud


async def test_the_admin_door_configures_the_gateway_and_closing_leaves_no_port(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path / "out", "tone")
    there = await cloud.start()
    try:
        async with aiohttp.ClientSession() as http:

            async def tell(path: str, body: object) -> dict[str, str]:
                async with http.post(there.admin + path, json=body) as answer:
                    assert answer.status == 201, await answer.text()
                    said: dict[str, str] = await answer.json()
                    return said

            async with http.get(there.gateway + "/v1/prompts") as answer:
                assert answer.status == 503, "nothing is deployed, and nobody is asked who they are"
            await tell("/gateway/consumers", {"name": "acme", "api_key": "key-of-acme"})
            await tell("/gateway/routes", {"name": "all", "prefix": "/v1/", "allow": ["acme"]})
            async with http.get(there.gateway + "/v1/prompts") as answer:
                assert answer.status == 401
            async with http.get(
                there.gateway + "/v1/prompts", headers={"Authorization": "Bearer key-of-acme"}
            ) as answer:
                assert answer.status == 503
            api = {"method": "GET", "path": "/", "function": "nobody", "authentication": "none"}
            group = await tell("/gateway/groups", {"apis": [api]})
            async with http.get(group["url"] + "/") as answer:
                assert (answer.status, answer.headers["X-Ca-Error-Code"]) == (502, "D502FC")
            async with http.post(there.admin + "/gateway/routes", data=b"{") as answer:
                assert (answer.status, await answer.json()) == (400, {"error": "the body is not JSON"})
    finally:
        await cloud.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", URL(group["url"]).port or 0))
