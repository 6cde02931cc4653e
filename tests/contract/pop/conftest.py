"""A real POP server on loopback and the unmodified aliyunsdkcore as its client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aliyunsdkcore.auth.credentials import AccessKeyCredential, StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest

from localcloud import pop
from localcloud.account import AccessKey, Account
from localcloud.clock import Clock
from localcloud.engines.tone import ToneEngine
from localcloud.faults import Faults
from support.serving import served


@dataclass
class Server:
    """The server's insides, for arranging and for looking."""

    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    limits: pop.FileLimits = field(default_factory=pop.FileLimits)
    host: str = ""

    def __post_init__(self) -> None:
        self.account = Account(self.clock)

    def app(self) -> web.Application:
        """The service, with the engine whose audio carries its text."""
        return pop.make_app(self.account, self.faults, self.clock, ToneEngine(), limits=self.limits)

    def counter(self, name: str) -> int:
        """A counter of what really happened."""
        return self.faults.counters().get(name, 0)

    def client(self, key: AccessKey | None = None) -> AcsClient:
        """aliyunsdkcore with a key or a session."""
        key = key or self.account.root
        credential: Any = AccessKeyCredential(key.access_key_id, key.access_key_secret)
        if key.security_token:
            credential = StsTokenCredential(key.access_key_id, key.access_key_secret, key.security_token)
        return AcsClient(region_id="cn-shanghai", credential=credential, auto_retry=False)

    def call(
        self,
        action: str = "CreateToken",
        version: str = "2019-02-28",
        *,
        key: AccessKey | None = None,
        method: str = "POST",
        query: dict[str, str] | None = None,
        body: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """One call through the SDK; raises its ServerException."""
        request = CommonRequest(domain=self.host, version=version, action_name=action)
        request.set_method(method)
        request.set_protocol_type("http")
        for name, value in (query or {}).items():
            request.add_query_param(name, value)
        for name, value in (body or {}).items():
            request.add_body_params(name, value)
        document: dict[str, Any] = json.loads(self.client(key).do_action_with_exception(request))
        return document


@pytest.fixture
def server() -> Iterator[Server]:
    """A server with its own account."""
    running = Server()
    with served(lambda: running.app()) as host:
        running.host = host
        yield running
