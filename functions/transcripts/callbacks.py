"""The address that the speech service calls when a task has ended, and the proof in it.

The service signs nothing [interface page of recording-file recognition], so what it calls is a secret of its own: an
HMAC over job, generation, submission and expiry, under a key of the key file. Whoever has none is refused before
anything is read. Whoever has one can only make us look into the journal and ask the service: what a call *says* is not
believed, and a call for a submission that is over is refused too.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from isikit.errors import IdentityError, RequestError

if TYPE_CHECKING:
    from isikit.secrets import Keys

PATH: Final = "/v1/callbacks/filetrans"
PURPOSE: Final = "filetrans-callback"
LIFE_SECONDS: Final = 27 * 3600
"""Longer than any queue: 24 hours at most for accounts on trial, three for others."""
LOOKED_AT_BYTES: Final = 16 * 1024

_PROOF = re.compile(r"([0-9]{1,3})\.([0-9a-f]{64})\Z")
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,11})\Z")
_TASK = re.compile(rb'"(?:TaskId|task_id)"\s*:\s*"([0-9A-Za-z_-]{8,128})"')


class CallbackRefused(IdentityError):
    """One answer for every reason: forged, damaged, expired, of a key that is not known here."""

    code = "callback.refused"
    status = 403
    title = "This callback proves nothing"
    advice = "Nothing needs to be done: recordings are finished without callbacks too."


class CallbackSpent(RequestError):
    """What it tells of is over."""

    code = "callback.spent"
    status = 410
    title = "This callback is not waited for any more"
    advice = "Nothing needs to be done: the recording has its outcome, or was submitted anew."


@dataclass(frozen=True, slots=True)
class Callback:
    """Which submission a call is about, and until when its address is good (epoch seconds)."""

    job: str
    generation: int
    submission: int
    expires_at: int

    @classmethod
    def named(cls, job: str, *numbers: str) -> Callback:
        """What an address names: job, generation, submission and expiry, as they stand in it.

        Raises
        ------
        CallbackRefused
            A number is not written as we write them. Python refuses to read those of thousands of digits at all.
        """
        if len(numbers) != 3 or not all(map(_NUMBER.match, numbers)):
            raise CallbackRefused
        generation, submission, expires_at = map(int, numbers)
        return cls(job, generation, submission, expires_at)

    def url(self, base: str, keys: Keys) -> str:
        """The whole address."""
        where = f"{self.job}/{self.generation}/{self.submission}/{self.expires_at}"
        return f"{base}{PATH}/{where}/{keys.version}.{self._proof(keys, keys.version)}"

    def check(self, proof: str, keys: Keys, now: float) -> None:
        """Raise `CallbackRefused` unless the proof is ours and its time is not over."""
        match = _PROOF.match(proof)
        version = int(match[1]) if match else 0
        if match is None or not keys.knows(version):
            raise CallbackRefused
        if not hmac.compare_digest(self._proof(keys, version), match[2]) or now >= self.expires_at:
            raise CallbackRefused

    def _proof(self, keys: Keys, version: int) -> str:
        said = f"{self.job}\n{self.generation}\n{self.submission}\n{self.expires_at}".encode()
        return hmac.digest(keys.mac_key(PURPOSE, version), said, hashlib.sha256).hex()


def task_in(body: bytes) -> str | None:
    """The TaskId in the first bytes of a call, as a hint for a submission whose answer was lost; None without one."""
    match = _TASK.search(body[:LOOKED_AT_BYTES])
    return match[1].decode() if match else None
