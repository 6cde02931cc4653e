"""CreateToken and AssumeRole: POP calls by the official core SDK, over https, one attempt each, errors mapped."""

from __future__ import annotations

import calendar
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from isikit.config import is_loopback
from isikit.credentials import StsCredentials
from isikit.errors import TokenError, role_error, token_error
from isikit.host.context import Deadline
from isikit.nls.speech_token import SpeechToken
from isikit.threads import BoundedThreads

if TYPE_CHECKING:
    from isikit.credentials import Credentials

CONNECT_SECONDS: Final = 2
READ_SECONDS: Final = 5
SESSION_SECONDS: Final = 3600  # AssumeRole's own default; a role's maximum may not be less
SESSION_RENEW_SECONDS: Final = 900  # left of a session's life by this machine's clock, which may be ten minutes slow
SESSION_NAME: Final = "speech-token"  # stands in the other account's audit log
_CREATE_VERSION: Final = "2019-02-28"
_STS_VERSION: Final = "2015-04-01"
_THREADS: Final = 2

Refuse = Callable[[int, str], TokenError]
"""(HTTP status or 0, the service's code) -> our error."""


class PopApi:
    """A POP endpoint.

    Parameters
    ----------
    endpoint
        Base URL or host; https unless it is loopback. `RegionId` is that of the endpoint, which need not be ours: one
        token serves all regions.
    """

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
        self.host = parts.netloc
        self.loopback = is_loopback(parts.geturl())
        self.scheme = parts.scheme if self.loopback else "https"
        self.region = _region_of(parts.hostname or "")

    def call(
        self,
        action: str,
        version: str,
        signer: StsCredentials,
        deadline: Deadline,
        refuse: Refuse,
        **parameters: str,
    ) -> bytes:
        """One call, blocking: the body of an answer with HTTP 200.

        Raises
        ------
        TokenError
            As `refuse` maps it.
        """
        from aliyunsdkcore.acs_exception.exceptions import ClientException, ServerException
        from aliyunsdkcore.auth.credentials import AccessKeyCredential, StsTokenCredential
        from aliyunsdkcore.client import AcsClient
        from aliyunsdkcore.http import protocol_type
        from aliyunsdkcore.request import CommonRequest

        key = (signer.access_key_id, signer.access_key_secret)
        credential = (
            StsTokenCredential(*key, signer.security_token) if signer.security_token else AccessKeyCredential(*key)
        )
        seconds = max(deadline.remaining(), 0.1)
        client = AcsClient(
            region_id=self.region,
            credential=credential,
            auto_retry=False,
            connect_timeout=min(CONNECT_SECONDS, seconds),
            timeout=min(READ_SECONDS, seconds),
            proxy={"no_proxy": "*"} if self.loopback else None,
        )
        request = CommonRequest()
        request.set_method("POST")
        # Compared by identity inside the SDK, so its own constants; the default is plain http.
        request.set_protocol_type(protocol_type.HTTPS if self.scheme == "https" else protocol_type.HTTP)
        request.set_domain(self.host)
        request.set_version(version)
        request.set_action_name(action)
        for name, value in parameters.items():
            request.add_query_param(name, value)
        try:
            body: bytes = client.do_action_with_exception(request)
        except ServerException as error:
            raise refuse(error.get_http_status() or 0, str(error.get_error_code())) from None  # its text echoes
        except ClientException as error:
            raise refuse(0, str(error.get_error_code())) from None
        except (IndexError, ValueError):  # the SDK trips over error bodies that it does not expect
            raise refuse(502, "") from None
        finally:
            client.session.close()
        return body


class AssumedRole:
    """The credentials of a role in (usually) another account, kept until five minutes before their end.

    Parameters
    ----------
    endpoint
        `ISI_POP_STS`.
    role_arn
        The tenant's `role_arn`.
    credentials
        Who assumes it: our function's role, which the role must trust.
    now
        Epoch seconds.
    """

    def __init__(
        self, endpoint: str, role_arn: str, credentials: Credentials, *, now: Callable[[], float] = time.time
    ) -> None:
        self._api = PopApi(endpoint)
        self._role_arn = role_arn
        self._credentials = credentials
        self._now = now
        self._lock = threading.Lock()
        self._session: StsCredentials | None = None
        self._expires_at = 0.0

    def current(self, deadline: Deadline) -> StsCredentials:
        """The role's credentials, blocking. Raises `TokenError`."""
        with self._lock:
            if self._session is None or self._expires_at - self._now() < SESSION_RENEW_SECONDS:
                self._session, self._expires_at = self._assume(deadline)
            return self._session

    def forget(self) -> None:
        """Drop the session: it was refused."""
        with self._lock:
            self._session = None

    def _assume(self, deadline: Deadline) -> tuple[StsCredentials, float]:
        body = self._api.call(
            "AssumeRole",
            _STS_VERSION,
            self._credentials.current(),
            deadline,
            role_error,
            RoleArn=self._role_arn,
            RoleSessionName=SESSION_NAME,
            DurationSeconds=str(SESSION_SECONDS),
        )
        held = _object(body).get("Credentials")
        names = ("AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration")
        if not isinstance(held, dict) or not all(isinstance(held.get(name), str) and held[name] for name in names):
            raise role_error(200, "")
        try:
            expires_at = float(calendar.timegm(time.strptime(held["Expiration"], "%Y-%m-%dT%H:%M:%SZ")))
        except ValueError:
            raise role_error(200, "") from None
        return StsCredentials(held["AccessKeyId"], held["AccessKeySecret"], held["SecurityToken"]), expires_at


class PopTokenFetcher:
    """CreateToken by the official core SDK, which signs with STS credentials.

    The speech SDK's own `getToken` is not used: it sends the request over plain http (the token comes back in clear
    text), knows no STS, drops ExpireTime, and puts the whole response into its errors.

    Parameters
    ----------
    endpoint
        `ISI_POP_NLS_META`.
    credentials
        Asked before every request: those of the latest request live longest.
    role
        Assumed first: the token is then of that role's account.
    """

    def __init__(self, endpoint: str, credentials: Credentials, *, role: AssumedRole | None = None) -> None:
        self._api = PopApi(endpoint)
        self._credentials = credentials
        self._role = role
        self._threads = BoundedThreads("speech-token", _THREADS)

    async def fetch(self, deadline: Deadline) -> SpeechToken:
        """One CreateToken, after an AssumeRole where there is a role whose session has run out.

        Raises
        ------
        TokenError
            By the table POP; also for a failure that came as HTTP 200, and for an answer without a token.
        DeadlineExceeded
        """
        return await self._threads.run(lambda: self._create(deadline), deadline)

    def _create(self, deadline: Deadline) -> SpeechToken:
        signer = self._credentials.current() if self._role is None else self._role.current(deadline)
        try:
            return _parse(self._api.call("CreateToken", _CREATE_VERSION, signer, deadline, token_error))
        except TokenError as error:
            if self._role is not None and error.code == "pop.security_token_invalid":
                self._role.forget()
            raise


def _object(body: bytes) -> dict[str, Any]:
    import msgspec

    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError:
        said = None
    if not isinstance(said, dict):
        raise token_error(200, "")
    return said


def _parse(body: bytes) -> SpeechToken:
    """Read CreateToken's answer. A failure of the product comes as HTTP 200 with ErrCode and no Token."""
    said = _object(body)
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
