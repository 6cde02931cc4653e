"""The journal of an account's speech tokens: what its records mean, and how one journal goes on in the next.

Records, besides those of `isikit.claims`::

    {"token": sealed, "expires_at": epoch, "released": claim}    a token was made; sealed for this account only
    {"refused": nonce of a token, "at": epoch}                   the speech service did not take it
    {"failed": our code, "at": epoch, "released": claim}         none could be made; all rest before the next try
    {"next": n}                                                  the journal is full: go on in number n

A journal takes `RECORDS_PER_JOURNAL` records, some 40 KB and two months of ordinary days, so that what a new instance
reads stays small. Whoever finds it full appends `next` by compare-and-swap; nobody writes behind it. Full journals are
never deleted: somebody frozen may still read one, and would begin it anew. `current` names a recent one, as a hint that
may be old or missing: every `next` is followed from there.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from isikit.errors import SealError
from isikit.journal import Journal, JournalTorn, Record, Snapshot
from isikit.nls.speech_token import SpeechToken
from isikit.objects import ObjectStore
from isikit.secrets import KeyRing

PREFIX: Final = "tokens"
PURPOSE: Final = "token"
RECORDS_PER_JOURNAL: Final = 128
FIRST_REST_SECONDS: Final = 2.0
LONGEST_REST_SECONDS: Final = 30.0
REFUSALS_AT_ONCE: Final = 3
REFUSALS_SECONDS: Final = 30.0
FAILURES_CARRIED: Final = 5  # after so many in a row the rest is the longest
HINT_BYTES: Final = 256
AHEAD_SECONDS: Final = 60.0
"""How far in the future a record's time may lie: no claim is longer than seconds, and all go by OSS's clock."""


class _Box(msgspec.Struct):
    """What is sealed: the times too, so that nobody can give an old token a longer life."""

    id: str
    expires_at: float
    issued_at: float


class _Shape(msgspec.Struct):
    """What records are made of. The sealed token is judged by its seal."""

    nonce: str
    token: Any = msgspec.UNSET
    expires_at: float = 0.0
    refused: str = ""
    failed: str = ""
    at: float = 0.0
    claim: str = ""
    renewed: str = ""
    until: float = 0.0
    released: str = ""
    next: int = 0


_TIMES: Final = {"token": "expires_at", "refused": "at", "failed": "at", "claim": "until", "renewed": "until"}
"""The time that goes with a record."""


class _Hint(msgspec.Struct):
    generation: int


@dataclass(frozen=True, slots=True)
class Resting:
    """The latest try failed: nobody tries again before `until` (OSS's clock)."""

    code: str
    until: float


@dataclass(frozen=True, slots=True)
class Found:
    """A token that the journal offers, and the nonce of its record."""

    token: SpeechToken
    nonce: str


@dataclass(frozen=True, slots=True)
class View:
    """One look: the open journal, and in front of its records those that still matter of the full ones before it."""

    journal: Journal
    generation: int
    snapshot: Snapshot
    records: tuple[Record, ...]

    @property
    def now(self) -> float:
        """OSS's time of the look."""
        return self.snapshot.server_time

    @property
    def full(self) -> bool:
        """Whether the next claim belongs into the next journal."""
        return len(self.snapshot.records) >= RECORDS_PER_JOURNAL

    def resting(self) -> Resting | None:
        """Whether a recent failure keeps everybody from trying; the rest doubles with every failure in a row."""
        latest: Record | None = None
        seconds = FIRST_REST_SECONDS / 2
        for record in self.records:
            if "token" in record:
                latest, seconds = None, FIRST_REST_SECONDS / 2
            elif "failed" in record:
                latest, seconds = record, min(seconds * 2, LONGEST_REST_SECONDS)
        if latest is None:
            return self._refused_too_often()
        until = float(latest["at"]) + seconds
        return Resting(str(latest["failed"]), until) if until > self.now else None

    def _refused_too_often(self) -> Resting | None:
        """A service that refuses every token is not asked for one more by every request."""
        recent = [float(record["at"]) for record in self.records if "refused" in record]
        recent = [at for at in recent if at > self.now - REFUSALS_SECONDS]
        if len(recent) < REFUSALS_AT_ONCE:
            return None
        return Resting("pop.no_token", min(recent[-REFUSALS_AT_ONCE:]) + REFUSALS_SECONDS)


class TokenLog:
    """The journals of one account.

    Parameters
    ----------
    store
        The state bucket.
    keys
        Seal the tokens.
    account
        Part of the keys: `own`, or that of a role.
    """

    def __init__(self, store: ObjectStore, keys: KeyRing, account: str) -> None:
        self._store = store
        self._keys = keys
        self._place = f"{PREFIX}/{account}"
        self._open: tuple[Journal, int, tuple[Record, ...]] | None = None
        self._hinted = 0
        self._opened: dict[str, SpeechToken | None] = {}

    async def look(self) -> View:
        """Read what is new. Raises `StorageError`; `JournalTorn` where somebody else wrote something."""
        if self._open is None:
            self._hinted = await self._read_hint()
            self._open = (self._journal(self._hinted or 1), self._hinted or 1, ())
        while True:
            journal, generation, before = self._open
            snapshot = await journal.read()
            _check(snapshot)
            if not any(record.get("next") == generation + 1 for record in snapshot.records):
                return View(journal, generation, snapshot, before + snapshot.records)
            carried = _carried(before + snapshot.records, snapshot.server_time)
            self._open = (self._journal(generation + 1), generation + 1, carried)

    async def close_full(self, view: View) -> None:
        """Go on in the next journal. Raises `PositionConflict` where somebody wrote since."""
        await view.journal.append({"next": view.generation + 1}, view.snapshot)

    async def newest(self, view: View, accept: Callable[[SpeechToken], bool]) -> Found | None:
        """The newest token that is not marked as refused, can be opened and is accepted."""
        refused = {record["refused"] for record in view.records if "refused" in record}
        for record in reversed(view.records):
            if "token" not in record or record["nonce"] in refused or record["expires_at"] <= view.now:
                continue
            token = await self._opened_token(record)
            if token is not None and accept(token):
                return Found(token, record["nonce"])
        return None

    async def ready(self) -> None:
        """Make sure that a token can be sealed. Raises `KeysUnavailable`."""
        await self._keys.current()

    async def sealed(self, token: SpeechToken, issued_at: float) -> Record:
        """The record of a token. Raises `KeysUnavailable`."""
        keys = await self._keys.current()
        plain = msgspec.json.encode(_Box(token.id, token.expires_at, issued_at))
        box = keys.seal(plain, purpose=PURPOSE, aad=self._place.encode())
        return {"token": base64.b64encode(box).decode(), "expires_at": token.expires_at}

    async def hint(self, view: View) -> None:
        """Let new instances begin at this journal. Only once it holds a token: they do not read the one before."""
        if view.generation > max(self._hinted, 1):
            body = msgspec.json.encode(_Hint(view.generation))
            await self._store.put(f"{self._place}/current", body, content_type="application/json")
            self._hinted = view.generation

    async def _opened_token(self, record: Record) -> SpeechToken | None:
        nonce = record["nonce"]
        if nonce not in self._opened:
            opened = await self._unsealed(record["token"])
            self._opened = {**dict(list(self._opened.items())[-8:]), nonce: opened}
        return self._opened[nonce]

    async def _unsealed(self, sealed: Any) -> SpeechToken | None:
        """None for what cannot be opened (the key is gone, or somebody else wrote it): as if it were not there."""
        try:
            plain = await self._keys.open(
                base64.b64decode(sealed, validate=True), purpose=PURPOSE, aad=self._place.encode()
            )
            box = msgspec.json.decode(plain, type=_Box)
        except (SealError, msgspec.MsgspecError, binascii.Error, TypeError, ValueError):
            return None
        return SpeechToken(box.id, box.expires_at, box.issued_at)

    async def _read_hint(self) -> int:
        found = await self._store.get(f"{self._place}/current")
        try:
            return 0 if found is None else max(msgspec.json.decode(found[1][:HINT_BYTES], type=_Hint).generation, 1)
        except msgspec.MsgspecError:
            return 0

    def _journal(self, generation: int) -> Journal:
        return Journal(self._store, f"{self._place}/{generation:06d}.jsonl")


def _check(snapshot: Snapshot) -> None:
    """Let nobody who can write to the bucket stop everybody: then each instance is better off alone."""
    for record in snapshot.records:
        try:
            shape = msgspec.convert(record, _Shape)
        except msgspec.ValidationError:
            raise JournalTorn("a record of a token journal is not one of ours") from None
        if any(time not in record for name, time in _TIMES.items() if name in record):
            raise JournalTorn("a record of a token journal lacks its time")
        if max(shape.at, shape.until) > snapshot.server_time + AHEAD_SECONDS:
            raise JournalTorn("a record of a token journal is from the future")


def _carried(records: tuple[Record, ...], now: float) -> tuple[Record, ...]:
    """What of full journals still matters: tokens that live, marks, and the latest failures."""
    failures = [record for record in records if "failed" in record][-FAILURES_CARRIED:]
    return tuple(
        record
        for record in records
        if ("token" in record and record["expires_at"] > now) or "refused" in record or record in failures
    )
