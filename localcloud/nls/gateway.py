"""What all doors of the speech service share: who may enter, what is limited, what is being broken on purpose."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from localcloud.account import Account, SpeechProject
from localcloud.clock import Clock
from localcloud.engines import Engine
from localcloud.faults import Faults
from localcloud.nls.quotas import Limits, Quotas
from localcloud.nls.status import ACCESS_DENIED, APPKEY_NOT_EXIST, Refusal, invalid


@dataclass(slots=True)
class Gateway:
    """One speech service. Tests reach it as `app[GATEWAY]` to change `limits` or look at `quotas`."""

    account: Account
    engine: Engine
    faults: Faults
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    quotas: Quotas = field(init=False)
    sockets: set[web.WebSocketResponse] = field(default_factory=set)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.quotas = Quotas(self.limits, self.faults)

    def admit(self, token: str) -> None:
        """Let a caller in by its speech token, or raise 40000001. The texts echo the token, as the service's do."""
        if not token:
            raise Refusal(ACCESS_DENIED, "Gateway:ACCESS_DENIED:Missing authorization header!")
        state = self.account.speech_token_state(token)
        if state == "expired":
            raise Refusal(ACCESS_DENIED, f"Gateway:ACCESS_DENIED:The token '{token}' has expired!")
        if state != "ok":
            raise Refusal(ACCESS_DENIED, f"Meta:ACCESS_DENIED:The token '{token}' is invalid!")

    def project(self, appkey: str) -> SpeechProject:
        """The project of an AppKey, or 40000003 without one, 40020105 for one that is not the account's."""
        if not appkey:
            raise invalid("appkey not set")
        project = self.account.projects.get(appkey)
        if project is None:
            raise Refusal(APPKEY_NOT_EXIST)
        return project


GATEWAY = web.AppKey("speech_gateway", Gateway)
