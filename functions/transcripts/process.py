"""What one process works with: everything that is shared by its requests, in one place, passed down."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from functions.transcripts.mode import EVERYWHERE, OFFERED
from functions.transcripts.pacing import Pace
from functions.transcripts.patience import flash_patiently, patiently, realtime_patiently
from functions.transcripts.recognise import Recognise
from isikit.audio.probe import Decoded, Limits, Measured, decode, measure
from isikit.errors import ConfigError, FieldError
from isikit.objects import ObjectStore

if TYPE_CHECKING:
    from functions.transcripts.notify import Webhooks
    from isikit.config import Settings
    from isikit.host.context import Deadline
    from isikit.identity import Doors
    from isikit.limits import Limits as TenantLimits
    from isikit.nls.filetrans import FileOrder, TaskAnswer
    from isikit.nls.flash import FlashOrder
    from isikit.nls.sentences import Sentence
    from isikit.secrets import KeyRing
    from isikit.tenants import Tenant, Tenants

Flash = Callable[[bytes, "FlashOrder", "Deadline"], Awaitable[tuple["Sentence", ...]]]
"""(the file, how to take it, deadline) -> what was said."""
Spend = Callable[["Tenant", int], Awaitable[None]]
Realtime = Callable[[bytes, int, str, "Deadline"], Awaitable[tuple["Sentence", ...]]]
"""(mono s16le, rate in Hz, AppKey, deadline) -> what was said; takes as long as the sound does."""

CLAIM_SECONDS: Final = 20.0
"""How long a claim outlives its process. A delivery that finds a job claimed watches it for this long at most."""
RENEW_SECONDS: Final = 5.0
WATCH_SECONDS: Final = 2.0
FLASHES: Final = 2
"""Flash recognitions at once, per instance; accounts have 10."""


async def _unlimited(tenant: Tenant, seconds: int) -> None:
    """No quota."""


class FileService(Protocol):
    """The service's queue of one account, as `isikit.nls.filetrans.Filetrans` has it."""

    async def submit(self, order: FileOrder, deadline: Deadline) -> str:
        """Queue a recording; its task."""

    async def result(self, task: str, deadline: Deadline) -> TaskAnswer:
        """What has become of a task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileQueue:
    """What file mode needs besides the buckets.

    Attributes
    ----------
    service
        (a tenant's `role_arn`, "" for our own account) -> the queue of that account, whose AppKeys it takes.
    presign
        (key in the state bucket, seconds) -> URL by which the service fetches it.
    keys
        For the proofs in callbacks.
    callback_base
        What the address of callbacks begins with; "" where none are wanted.
    """

    service: Callable[[str], FileService]
    presign: Callable[[str, int], str]
    keys: KeyRing
    callback_base: str = ""


async def _stay(event: bytes) -> bool:
    """Nothing can be left to another call."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcripts:
    """The collaborators.

    Attributes
    ----------
    recordings, state
        The buckets, with their names.
    doors, tenants
        Who is calling, and who there is.
    pace
        When a tenant's recordings may begin.
    limits
        How often a tenant may ask, and how much of a day it may use.
    recognise
        Recognises one piece, with its own retries.
    decode
        Decodes untrusted bytes in a child process: (data, rate wanted, limits).
    measure
        What a recording is like, decoded in the same way and not kept: (data, limits).
    queue
        The service's queue for files; None where the deployment has none.
    flash
        Recognises a whole file at once; None where the region does not.
    realtime
        Recognises one side at the pace it was spoken; None where it is not set up.
    webhooks
        How tenants are told that a recording has its outcome; None where nobody is.
    region
        Decides what the service offers.
    spend
        Takes seconds of sound from a tenant's quota of the day, or raises `LimitError`.
    speaking
        Calls to the speech service at once.
    decoding
        Recordings in memory at once: an instance has 1 GiB and takes two events.
    clock
        Wall time for stamps.
    leave
        Has this function called again with an event, as an asynchronous call; False where that cannot be done.
    pause
        Sleeps: between two looks at a job that somebody else is on, and between two renewals of a claim.
    """

    recordings: ObjectStore
    state: ObjectStore
    recordings_bucket: str
    state_bucket: str
    doors: Doors
    tenants: Tenants
    limits: TenantLimits
    pace: Pace
    recognise: Recognise
    decode: Callable[[bytes, int | None, Limits], Awaitable[Decoded]]
    measure: Callable[[bytes, Limits], Awaitable[Measured]]
    speaking: asyncio.Semaphore
    decoding: asyncio.Semaphore
    queue: FileQueue | None = None
    flash: Flash | None = None
    realtime: Realtime | None = None
    webhooks: Webhooks | None = None
    region: str = "cn-beijing"
    spend: Spend = _unlimited
    clock: Callable[[], float] = time.time
    leave: Callable[[bytes], Awaitable[bool]] = _stay
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    @property
    def offered(self) -> frozenset[str]:
        """The modes that the region offers and this deployment has."""
        here = {"sentence"}
        here |= {"file"} if self.queue is not None else set()
        here |= {"flash"} if self.flash is not None else set()
        here |= {"realtime"} if self.realtime is not None else set()
        return OFFERED.get(self.region, EVERYWHERE) & here

    def queue_or_refuse(self) -> FileQueue:
        """The queue.

        Raises
        ------
        ConfigError
            There is none: it was taken away while a recording was in it.
        """
        if self.queue is None:
            raise ConfigError(
                "The service's queue for files is not set up.", errors=[FieldError("ISI_FILETRANS", "missing")]
            )
        return self.queue


@functools.cache
def transcripts() -> Transcripts:
    """The process's own, made from the settings when first needed."""
    from functions.transcripts.account_tokens import AccountTokens
    from functions.transcripts.notify import Webhooks, poster
    from isikit import config, credentials, limits, objects
    from isikit.identity import Doors, KeySets
    from isikit.nls import token
    from isikit.nls.flash import FlashRecogniser
    from isikit.nls.realtime import SdkListener
    from isikit.nls.recognition import Recogniser
    from isikit.secrets import KeyRing
    from isikit.self_invocation import SelfInvocation
    from isikit.tenants import Tenants

    settings = config.settings()
    stores = objects.stores()
    tenants, keys = Tenants(stores.state, settings.tenants_key), KeyRing(stores.state, settings.keys_key)
    tokens = AccountTokens(token.sources(settings, credentials.provider, stores.state, keys), tenants)
    counted = limits.from_settings(settings, stores.state)
    listener = SdkListener(settings.nls_websocket, settings.nls_concurrency)
    return Transcripts(
        recordings=stores.recordings,
        state=stores.state,
        recordings_bucket=settings.bucket_recordings,
        state_bucket=settings.bucket_state,
        doors=Doors(tenants, keys, KeySets.of(settings)),
        tenants=tenants,
        limits=counted,
        pace=Pace(stores.state),
        recognise=patiently((listener if settings.asr_transport == "sdk" else Recogniser(settings)).recognise, tokens),
        decode=_decode_in_child,
        measure=_measure_in_child,
        queue=_queue(settings, keys, tenants),
        realtime=realtime_patiently(listener.transcribe, tokens),
        flash=flash_patiently(FlashRecogniser(settings.nls_rest, FLASHES).recognise, tokens),
        webhooks=Webhooks(poster(loopback=settings.jwks_loopback == "yes"), keys),
        region=settings.region,
        spend=lambda tenant, seconds: counted.spend(tenant, "recognition_seconds", seconds),
        speaking=asyncio.Semaphore(settings.nls_concurrency),
        decoding=asyncio.Semaphore(1),
        leave=SelfInvocation.from_settings(settings, credentials.provider).leave,
        clock=tenants.now,  # receivers of webhooks refuse what is dated minutes off
    )


def _queue(settings: Settings, keys: KeyRing, tenants: Tenants) -> FileQueue | None:
    """The service's queue, where the deployment names it."""
    from isikit import credentials
    from isikit.nls.filetrans import Filetrans
    from isikit.nls.pop import AssumedRole
    from isikit.objects.presign import Presigner

    if not settings.filetrans:
        return None

    @functools.cache
    def service(role_arn: str) -> Filetrans:
        role = AssumedRole(settings.pop_sts, role_arn, credentials.provider) if role_arn else None
        return Filetrans(settings.filetrans, settings.region, credentials.provider, role=role)

    endpoint = settings.oss_fetch or settings.oss_internal
    signer = Presigner(settings.bucket_state, endpoint, settings.region, credentials.provider, clock=tenants.now)
    return FileQueue(
        service=service,
        presign=lambda key, seconds: signer.get(key, seconds=seconds),
        keys=keys,
        callback_base=settings.callback_base_url,
    )


async def _measure_in_child(data: bytes, limits: Limits) -> Measured:
    return await measure(data, limits=limits)


async def _decode_in_child(data: bytes, rate_hz: int | None, limits: Limits) -> Decoded:
    return await decode(data, rate_hz=rate_hz, limits=limits)
