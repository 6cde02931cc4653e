"""What the POP gateway checks before any action sees a request: parameters, time, key, token, signature, nonce."""

from __future__ import annotations

import calendar
import hmac
import time
from dataclasses import dataclass
from urllib.parse import parse_qsl

from localcloud.account import AccessKey, Account
from localcloud.clock import Clock
from localcloud.pop.acs3 import Acs3
from localcloud.pop.errors import PopError, missing
from localcloud.pop.nonces import Nonces
from localcloud.pop.signature import signature, string_to_sign

MAX_SKEW_SECONDS = 15 * 60


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """One RPC call: the parameters of query and form, in the order sent; `acs3` when headers carry the signature."""

    method: str
    parameters: tuple[tuple[str, str], ...]
    acs3: Acs3 | None = None

    @classmethod
    def parse(cls, method: str, query: str, form: str = "") -> RpcRequest:
        """From the raw query string and the raw form body."""
        pairs = parse_qsl(query, keep_blank_values=True) + parse_qsl(form, keep_blank_values=True)
        return cls(method, tuple(pairs))

    def get(self, name: str) -> str:
        """The value of a parameter, "" when absent."""
        return next((value for pair_name, value in self.parameters if pair_name == name), "")

    def need(self, name: str) -> str:
        """The value of a mandatory parameter; `Missing{Name}` when absent or empty."""
        value = self.get(name)
        if not value:
            raise missing(name)
        return value


class Gateway:
    """Checks requests against one account's keys.

    The time stamp is judged by the machine's own time, which clients on this machine share, so that moving the clock
    does not lock every client out; sessions expire by the movable clock.
    """

    def __init__(self, account: Account, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._nonces = Nonces(2 * MAX_SKEW_SECONDS)

    def admit(self, request: RpcRequest) -> AccessKey:
        """The key that signed; raises PopError as the gateway refuses. A nonce counts only under a good signature."""
        if request.get("Format") not in ("", "JSON", "json"):
            raise PopError("NotImplemented", "localcloud answers Format=JSON only.")
        request.need("Version")
        if request.acs3 is not None:
            return self._admit_acs3(request.acs3)
        access_key_id, provided = request.need("AccessKeyId"), request.need("Signature")
        if request.get("SignatureMethod") not in ("", "HMAC-SHA1") or request.get("SignatureType"):
            raise PopError("InvalidSignatureMethod")
        if request.need("SignatureVersion") != "1.0":
            raise PopError("InvalidSignatureVersion")
        nonce, now = request.need("SignatureNonce"), self._timely(request.need("Timestamp"))
        key = self._key(access_key_id, request.get("SecurityToken"))
        text = string_to_sign(request.method, request.parameters)
        expected = signature(key.access_key_secret, text)
        if not hmac.compare_digest(expected.encode(), provided.encode("utf-8", "replace")):
            message = f"Specified signature is not matched with our calculation. server string to sign is:{text}"
            raise PopError("SignatureDoesNotMatch", message)
        return self._fresh(key, nonce, now)

    def _admit_acs3(self, signed: Acs3) -> AccessKey:
        now = self._timely(signed.date)
        key = self._key(signed.access_key_id, signed.security_token)
        if not signed.matches(key.access_key_secret):
            raise PopError("SignatureDoesNotMatch")
        return self._fresh(key, signed.nonce, now)

    def _timely(self, stamp: str) -> float:
        now = self._clock.client_now()
        if abs(now - _time(stamp)) > MAX_SKEW_SECONDS:
            raise PopError("InvalidTimeStamp.Expired")
        return now

    def _fresh(self, key: AccessKey, nonce: str, now: float) -> AccessKey:
        if self._account.expired(key):
            raise PopError("InvalidSecurityToken.Expired")
        if not self._nonces.use(key.access_key_id, nonce, now):
            raise PopError("SignatureNonceUsed")
        return key

    def _key(self, access_key_id: str, security_token: str) -> AccessKey:
        key = self._account.find(access_key_id)
        if key is None:
            raise PopError("InvalidAccessKeyId.NotFound")
        if key.security_token and not security_token:
            raise PopError("MissingSecurityToken")
        if not hmac.compare_digest(key.security_token.encode(), security_token.encode("utf-8", "replace")):
            raise PopError("InvalidSecurityToken.MismatchWithAccessKey")
        return key


def _time(text: str) -> float:
    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError as exc:
        raise PopError("InvalidTimeStamp.Format") from exc
