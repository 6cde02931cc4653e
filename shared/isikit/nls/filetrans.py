"""Recognition of whole files by the speech service's queue (product nls-filetrans, 2018-08-17): submit, ask later.

Sources: the interface page of recording-file recognition (help.aliyun.com/zh/isi/developer-reference) and the RPC
signature page of the API's common parameters. Calls are signed here, with the STS credentials of the latest request:
the core SDK reads an answer of any length into memory, and cannot say whether a failed request was ever sent. That
difference is what keeps a recording from being paid twice, so it is in the errors:

- a `SpeechError` of `submit`: nothing was queued;
- `SubmissionUnclear`: it may have been.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from isikit.config import is_loopback
from isikit.errors import DeadlineExceeded, SpeechError, SpeechUnavailable, speech_error, token_error
from isikit.nls.gateway import Answer, Gateway
from isikit.nls.sentences import Sentence, of_file
from isikit.threads import BoundedThreads

if TYPE_CHECKING:
    from isikit.credentials import Credentials, StsCredentials
    from isikit.host.context import Deadline
    from isikit.nls.pop import AssumedRole

VERSION: Final = "2018-08-17"
SUCCESS: Final = 21050000
RUNNING: Final = frozenset({21050001, 21050002})
SILENT: Final = frozenset({21050003, 41050029})
"""Ends without a word: SUCCESS_WITH_NO_VALID_FRAGMENT and ASR_RESPONSE_HAVE_NO_WORDS."""
MOST_RESULT_BYTES: Final = 64 * 1024 * 1024
"""Twelve hours of fast speech on two channels, word by word, are about 20 MB."""
_MOST_BYTES: Final = 64 * 1024
_SECONDS: Final = 20.0
_TASK = re.compile(r"[0-9A-Za-z_-]{8,128}\Z")


class SubmissionUnclear(SpeechError):
    """No answer came to a SubmitTask that may have been taken. Not to be repeated before its callback had its time."""

    code = "nls.submission_unclear"
    title = "It is not known whether the speech service took the recording"
    advice = "Wait for its callback; after that the recording is submitted once more."
    retryable = False


@dataclass(frozen=True, slots=True)
class FileOrder:
    """A recording to transcribe.

    Attributes
    ----------
    url
        Where the service fetches it, with a signature; not in the repr.
    first_channel_only
        False recognises both of two channels; at 16 kHz each of them is billed.
    adaptive
        Let the service bring rates above 16 kHz down to 16 kHz.
    callback_url
        Empty for none.
    """

    appkey: str
    url: str = field(repr=False)
    first_channel_only: bool
    adaptive: bool
    callback_url: str = field(default="", repr=False)

    def document(self) -> dict[str, Any]:
        """`Task`. The version is always sent: the documents do not agree on its default."""
        told: dict[str, Any] = {
            "appkey": self.appkey,
            "file_link": self.url,
            "version": "4.0",
            "enable_words": True,
            "enable_punctuation_prediction": True,
            "enable_inverse_text_normalization": True,
            "first_channel_only": self.first_channel_only,
        }
        if self.adaptive:
            told["enable_sample_rate_adaptive"] = True
        if self.callback_url:
            told |= {"enable_callback": True, "callback_url": self.callback_url}
        return told


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The task queues or runs."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The task is done; no sentences where nothing was said."""

    sentences: tuple[Sentence, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """The task ended without a transcript: nothing is billed for it."""

    error: SpeechError


TaskAnswer = Unfinished | Finished | Failed


def looks_like_task(text: str) -> bool:
    """Whether a text may be a TaskId."""
    return _TASK.match(text) is not None


class Filetrans:
    """The queue of one region.

    Parameters
    ----------
    endpoint
        `ISI_FILETRANS`: base URL; https unless it is loopback.
    region
        `RegionId`.
    credentials
        Asked before every call.
    role
        Assumed first: the queue, and its AppKeys, are then those of that role's account.
    now, nonce
        Epoch seconds and a new SignatureNonce: for tests.
    """

    def __init__(
        self,
        endpoint: str,
        region: str,
        credentials: Credentials,
        *,
        role: AssumedRole | None = None,
        concurrency: int = 4,
        now: Callable[[], float] = time.time,
        nonce: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
        scheme = parts.scheme if is_loopback(parts.geturl()) else "https"
        self._gateway = Gateway(f"{scheme}://{parts.netloc}", concurrency, "filetrans")
        self._region = region
        self._credentials = credentials
        self._role = role
        self._threads = BoundedThreads("filetrans-role", 1)
        self._now, self._nonce = now, nonce

    async def submit(self, order: FileOrder, deadline: Deadline) -> str:
        """Queue a recording, in one attempt; its TaskId.

        Raises
        ------
        SubmissionUnclear
            It may be queued.
        SpeechError, TokenError, Overloaded
            It is not.
        """
        signer = await self._signer(deadline)
        form = self._signed(signer, "POST", "SubmitTask", Task=json.dumps(order.document(), ensure_ascii=False))
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        deadline.check()
        try:
            answer = await self._gateway.post(
                "/", urlencode(form).encode(), headers, deadline.sooner(_SECONDS), most_bytes=_MOST_BYTES
            )
        except DeadlineExceeded as error:
            raise SubmissionUnclear from error
        except SpeechError as error:
            if error.code == "nls.unreachable":
                raise  # no connection: nothing was sent
            raise SubmissionUnclear from error
        said = answer.json()
        status, task = said.get("StatusCode"), said.get("TaskId")
        if answer.status >= 500 or (answer.status == 200 and not isinstance(status, int)):
            raise SubmissionUnclear
        if answer.status != 200 or status != SUCCESS:
            raise self._refusal(answer)
        if not isinstance(task, str) or not looks_like_task(task):
            raise SubmissionUnclear
        return task

    async def result(self, task: str, deadline: Deadline) -> TaskAnswer:
        """What has become of a task. May be asked once a second at most, and for 72 hours after its end.

        Raises
        ------
        SpeechError, TokenError, Overloaded, DeadlineExceeded
            It could not be asked.
        """
        query = urlencode(self._signed(await self._signer(deadline), "GET", "GetTaskResult", TaskId=task))
        answer = await self._gateway.get(f"/?{query}", {}, deadline.sooner(_SECONDS), most_bytes=MOST_RESULT_BYTES)
        return await asyncio.to_thread(self._understood, answer)  # 20 MB take seconds

    def _understood(self, answer: Answer) -> TaskAnswer:
        said = answer.json()
        status = said.get("StatusCode")
        if answer.status != 200 or not isinstance(status, int):
            raise self._refusal(answer)
        if status in RUNNING:
            return Unfinished()
        if status in SILENT:
            return Finished(())
        if status == SUCCESS:
            if not isinstance(said.get("Result"), dict):
                raise SpeechError("A task was called a success without a result.", code="nls.unproved")
            return Finished(of_file(said["Result"]))
        return Failed(speech_error(status, ""))

    async def close(self) -> None:
        """Close kept connections."""
        await self._gateway.close()

    async def _signer(self, deadline: Deadline) -> StsCredentials:
        role = self._role
        if role is None:
            return self._credentials.current()
        return await self._threads.run(lambda: role.current(deadline), deadline)

    def _refusal(self, answer: Answer) -> SpeechError:
        error = _refusal(answer)
        if self._role is not None and error.code == "pop.security_token_invalid":
            self._role.forget()
        return error

    def _signed(self, signer: StsCredentials, method: str, action: str, **parameters: str) -> dict[str, str]:
        told = {
            "AccessKeyId": signer.access_key_id,
            "Action": action,
            "Format": "JSON",
            "RegionId": self._region,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureNonce": self._nonce(),
            "SignatureVersion": "1.0",
            "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._now())),
            "Version": VERSION,
            **parameters,
        }
        if signer.security_token:
            told["SecurityToken"] = signer.security_token
        return {**told, "Signature": signature(method, told, signer.access_key_secret)}


def signature(method: str, parameters: Mapping[str, str], secret: str) -> str:
    """The RPC signature: HMAC-SHA1 over method, path and the sorted query, everything encoded as in RFC 3986."""
    query = "&".join(f"{_encoded(name)}={_encoded(parameters[name])}" for name in sorted(parameters))
    text = f"{method}&%2F&{_encoded(query)}"
    return base64.b64encode(hmac.digest(f"{secret}&".encode(), text.encode(), hashlib.sha1)).decode()


def _encoded(text: str) -> str:
    return quote(text, safe="~")


def _refusal(answer: Answer) -> SpeechError:
    """What an answer without a task means: a StatusCode of the service, or a Code of POP before it."""
    said = answer.json()
    status = said.get("StatusCode")
    if isinstance(status, int):
        return speech_error(status, "")
    meant = token_error(answer.status, str(said.get("Code") or ""))  # POP's codes are the same for all its products
    kind = SpeechUnavailable if meant.retryable else SpeechError
    error = kind(code=meant.code, retry_after=meant.retry_after)
    error.retryable, error.advice, error.upstream_code = meant.retryable, meant.advice, meant.upstream_code
    return error
