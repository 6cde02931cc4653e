"""Speech tokens: fetched with STS credentials over https, kept until near their end, never waited for needlessly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from isikit import logs
from isikit.config import is_loopback
from isikit.errors import DeadlineExceeded, IsiError, TokenError, token_error
from isikit.host.context import Deadline
from isikit.retry import RetryBudget, retrying
from isikit.singleflight import SingleFlight
from isikit.threads import BoundedThreads

if TYPE_CHECKING:
    from isikit.config import Settings
    from isikit.credentials import Credentials

CONNECT_SECONDS: Final = 2
READ_SECONDS: Final = 5
FETCH_SECONDS: Final = 12.0  # all attempts of one fetch, whoever waits for it
AHEAD_SECONDS: Final = 3.0  # what a renewal ahead of need may cost the request that makes it
REST_SECONDS: Final = 30.0  # after a renewal ahead of need failed
RENEW_BELOW: Final = 0.2  # of its life left
_VERSION: Final = "2019-02-28"
_THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class SpeechToken:
    """A token of the speech service. It carries all speech rights of the account until `expires_at`.

    Attributes
    ----------
    id
        The token itself; not in the repr.
    expires_at
        Epoch seconds, as the service's `ExpireTime` said.
    """

    id: str = field(repr=False)
    expires_at: float


class TokenFetcher(Protocol):
    """Where tokens come from: the token API, or a token shared between instances."""

    async def fetch(self, deadline: Deadline) -> SpeechToken:
        """Get a token, in one attempt. Raises `TokenError` or `DeadlineExceeded`."""
        ...


class PopTokenFetcher:
    """CreateToken by the official core SDK, which signs with STS credentials.

    The speech SDK's own `getToken` is not used: it sends the request over plain http (the token comes back in clear
    text), knows no STS, drops ExpireTime, and puts the whole response into its errors.

    Parameters
    ----------
    endpoint
        `ISI_POP_NLS_META`: base URL or host; https unless it is loopback. `RegionId` is that of the endpoint, which
        need not be ours: one token serves all regions.
    credentials
        Asked before every request: those of the latest request live longest.
    """

    def __init__(self, endpoint: str, credentials: Credentials) -> None:
        parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
        self._host = parts.netloc
        self._loopback = is_loopback(parts.geturl())
        self._scheme = parts.scheme if self._loopback else "https"
        self._region = _region_of(parts.hostname or "")
        self._credentials = credentials
        self._threads = BoundedThreads("speech-token", _THREADS)

    async def fetch(self, deadline: Deadline) -> SpeechToken:
        """One CreateToken.

        Raises
        ------
        TokenError
            By the table POP; also for a failure that came as HTTP 200, and for an answer without a token.
        DeadlineExceeded
        """
        return await self._threads.run(lambda: self._create(deadline), deadline)

    def _create(self, deadline: Deadline) -> SpeechToken:
        from aliyunsdkcore.acs_exception.exceptions import ClientException, ServerException
        from aliyunsdkcore.auth.credentials import AccessKeyCredential, StsTokenCredential
        from aliyunsdkcore.client import AcsClient
        from aliyunsdkcore.http import protocol_type
        from aliyunsdkcore.request import CommonRequest

        current = self._credentials.current()
        key = (current.access_key_id, current.access_key_secret)
        credential = (
            StsTokenCredential(*key, current.security_token) if current.security_token else AccessKeyCredential(*key)
        )
        seconds = max(deadline.remaining(), 0.1)
        client = AcsClient(
            region_id=self._region,
            credential=credential,
            auto_retry=False,
            connect_timeout=min(CONNECT_SECONDS, seconds),
            timeout=min(READ_SECONDS, seconds),
            proxy={"no_proxy": "*"} if self._loopback else None,
        )
        request = CommonRequest()
        request.set_method("POST")
        # Compared by identity inside the SDK, so its own constants; the default is plain http.
        request.set_protocol_type(protocol_type.HTTPS if self._scheme == "https" else protocol_type.HTTP)
        request.set_domain(self._host)
        request.set_version(_VERSION)
        request.set_action_name("CreateToken")
        try:
            return _parse(client.do_action_with_exception(request))
        except ServerException as error:
            raise token_error(error.get_http_status() or 0, str(error.get_error_code())) from None  # its text echoes
        except ClientException as error:
            raise token_error(0, str(error.get_error_code())) from None
        except (IndexError, ValueError):  # the SDK trips over error bodies that it does not expect
            raise token_error(502, "") from None
        finally:
            client.session.close()


class TokenSource:
    """The process's token. One fetch at a time; renewed in the last fifth of its life, by one request, ahead of need.

    Nothing is fetched in the background: the platform stops the process between requests.

    Parameters
    ----------
    settings, credentials
        For the token API.
    fetcher
        Instead of the token API.
    now, sleep
        Epoch seconds, and the pause between attempts: for tests.
    """

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        *,
        fetcher: TokenFetcher | None = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._fetcher: TokenFetcher = fetcher or PopTokenFetcher(settings.pop_nls_meta, credentials)
        self._now, self._sleep = now, sleep
        self._budget = RetryBudget()
        self._flight: SingleFlight[SpeechToken] = SingleFlight()
        self._token: SpeechToken | None = None
        self._fetched_at = 0.0
        self._rest_until = 0.0

    async def get(self, min_life_seconds: int, deadline: Deadline) -> SpeechToken:
        """A token that lives at least `min_life_seconds` more.

        In the last fifth of its life one request renews it, for at most 3 seconds; a failure costs nothing as long as
        the token still lives long enough, and the others go on with it meanwhile.

        Raises
        ------
        TokenError
            None could be had; `pop.token_too_short` when the service's tokens never live that long.
        DeadlineExceeded
        """
        token = self._token
        if token is not None and self._left(token) >= min_life_seconds:
            if self._is_young(token) or self._flight_is_on() or self._now() < self._rest_until:
                return token
            return await self._renew_ahead(token, deadline)
        token = await self._fetch(deadline)
        if self._left(token) < min_life_seconds:
            raise TokenError(
                "The service's tokens live shorter than this tenant's minimum.", code="pop.token_too_short"
            )
        return token

    def invalidate(self, token_id: str) -> None:
        """Forget the token of that id: the service refused it. A newer one stays."""
        if self._token is not None and self._token.id == token_id:
            self._token = None

    def _left(self, token: SpeechToken) -> float:
        return token.expires_at - self._now()

    def _is_young(self, token: SpeechToken) -> bool:
        return self._left(token) >= RENEW_BELOW * (token.expires_at - self._fetched_at)

    def _flight_is_on(self) -> bool:
        return "token" in self._flight

    async def _renew_ahead(self, token: SpeechToken, deadline: Deadline) -> SpeechToken:
        try:
            return await self._fetch(deadline.sooner(AHEAD_SECONDS))
        except IsiError as error:
            self._rest_until = self._now() + REST_SECONDS
            logs.failure("token.kept", error, level="warning", expires_in=int(self._left(token)))
            return token

    async def _fetch(self, deadline: Deadline) -> SpeechToken:
        seconds = deadline.remaining()
        if seconds <= 0:
            raise DeadlineExceeded
        try:
            async with asyncio.timeout(seconds):
                return await self._flight.run("token", self._fetch_and_keep)
        except TimeoutError as error:
            raise DeadlineExceeded("No speech token came in time.") from error

    async def _fetch_and_keep(self) -> SpeechToken:
        # Its own deadline: who asked first may have less time than those who wait with him.
        deadline = Deadline.after(FETCH_SECONDS)
        token = await retrying(
            lambda: self._fetcher.fetch(deadline),
            operation="pop.CreateToken",
            deadline=deadline,
            budget=self._budget,
            sleep=self._sleep,
        )
        self._token, self._fetched_at, self._rest_until = token, self._now(), 0.0
        return token


def _parse(body: bytes) -> SpeechToken:
    """Read CreateToken's answer. A failure of the product comes as HTTP 200 with ErrCode and no Token."""
    import msgspec

    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError:
        said = None
    if not isinstance(said, dict):
        raise token_error(200, "")
    token = said.get("Token")
    if isinstance(token, dict) and isinstance(token.get("Id"), str) and token["Id"]:
        expires_at = token.get("ExpireTime")
        if isinstance(expires_at, int):
            return SpeechToken(token["Id"], float(expires_at))
    raise token_error(200, str(said.get("ErrCode") or ""))


def _region_of(host: str) -> str:
    """`nls-meta.cn-shanghai.aliyuncs.com` is in cn-shanghai, where every mainland account's tokens are made."""
    labels = host.split(".")
    return labels[1] if len(labels) == 4 and labels[2:] == ["aliyuncs", "com"] else "cn-shanghai"
