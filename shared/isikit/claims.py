"""Claims: who may work on something until when, as records in its journal.

`{"claim": owner, "until": epoch}` takes it, `{"renewed": nonce of the claim, "until": epoch}` prolongs it and
`{"released": nonce of the claim}` gives it back. All are judged by OSS's own `Date`, never by an instance's clock, and
each is appended by compare-and-swap: a claim is only taken after a look at everything before it, and a renewal only
while nobody else has taken over. A claim whose time is past is nobody's; whoever comes next takes it.

`Date` has whole seconds, cut off. That errs on the safe side twice: a claim ends up to a second early for its owner,
and is never taken over before its end. What a claim protects must still be safe against an owner who froze while it
worked: write its outcome with `Claim.append`, which refuses once somebody else has the claim, or first-writer-wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isikit.errors import PositionConflict, StorageError
from isikit.journal import Journal, Record, Snapshot


class ClaimLost(StorageError):
    """Somebody else has taken the claim over, or it was given back: stop working on it."""

    code = "claim.lost"
    retryable = False


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody has the claim until `until`, seconds since the epoch by OSS's clock. `server_time` is its now."""

    owner: str
    until: float
    server_time: float


@dataclass(frozen=True, slots=True)
class _Holding:
    nonce: str
    owner: str
    until: float


def _holding(snapshot: Snapshot) -> _Holding | None:
    """The latest claim that was not given back, past or not."""
    holding: _Holding | None = None
    for record in snapshot.records:
        if "claim" in record:
            holding = _Holding(record["nonce"], record["claim"], record["until"])
        elif holding is not None and record.get("renewed") == holding.nonce:
            holding = _Holding(holding.nonce, holding.owner, record["until"])
        elif holding is not None and record.get("released") == holding.nonce:
            holding = None
    return holding


def holder(snapshot: Snapshot) -> Held | None:
    """Who has the claim at the snapshot's time, or None where it is free or past."""
    holding = _holding(snapshot)
    if holding is None or holding.until <= snapshot.server_time:
        return None
    return Held(holding.owner, holding.until, snapshot.server_time)


class Claim:
    """A claim that was taken. One task uses it.

    Attributes
    ----------
    owner
        As given to `take`.
    until
        When it ends, seconds since the epoch by OSS's clock.
    snapshot
        The journal as the last call on this claim left it.
    """

    def __init__(self, journal: Journal, owner: str, until: float, snapshot: Snapshot) -> None:
        self.owner = owner
        self.until = until
        self.snapshot = snapshot
        self._journal = journal
        self._nonce: str = snapshot.records[-1]["nonce"]

    async def renew(self, seconds: float) -> None:
        """Make it end `seconds` from now.

        A claim that is past but that nobody has taken over is renewed too: it was nobody's in between.

        Raises
        ------
        ClaimLost
            Somebody else has it, or had it.
        """
        # Read first: the new end counts from OSS's now, and only an answer tells it.
        self.snapshot = await self._journal.read()
        while True:
            until = self.snapshot.server_time + seconds
            if await self._append({"renewed": self._nonce, "until": until}):
                self.until = until
                return

    async def append(self, record: Mapping[str, Any]) -> Snapshot:
        """Append a record to the journal while the claim is ours (or past, but nobody's).

        Raises
        ------
        ClaimLost
            Somebody else has it, or had it; the record does not stand.
        """
        while not await self._append(record):
            continue
        return self.snapshot

    async def finish(self, record: Mapping[str, Any]) -> Snapshot:
        """`append` the outcome and give the claim back, in one record. Raises as `append` does."""
        return await self.append({**record, "released": self._nonce})

    async def release(self) -> None:
        """Give it back, so that the next need not wait for its end. No error where it is lost already."""
        try:
            await self.append({"released": self._nonce})
        except ClaimLost:
            return

    async def _append(self, record: Mapping[str, Any]) -> bool:
        """Append after our snapshot. False where somebody wrote since: the snapshot is fresh then, so decide again."""
        holding = _holding(self.snapshot)
        if holding is None or holding.nonce != self._nonce:
            raise ClaimLost
        try:
            self.snapshot = await self._journal.append(record, self.snapshot)
        except PositionConflict:
            self.snapshot = await self._journal.read()
            return False
        return True


async def take(journal: Journal, owner: str, seconds: float) -> Claim | Held:
    """Take the claim of `journal` for `seconds`, unless somebody has it.

    Parameters
    ----------
    journal
        Of the thing to be claimed. It may hold other records too.
    owner
        Who asks, for others to see. It gives no right: the same owner asking twice is told that it is held.
    seconds
        From OSS's now. Long enough for the work or for the pause between two renewals, and no longer: it is how long
        others wait after a crash.

    Returns
    -------
    Claim | Held
        Ours, or who has it until when.
    """
    snapshot = await journal.read()
    while True:
        try:
            return await take_after(journal, snapshot, owner, seconds)
        except PositionConflict:
            snapshot = await journal.read()


async def take_after(journal: Journal, snapshot: Snapshot, owner: str, seconds: float) -> Claim | Held:
    """Take the claim as `take` does, but only if the journal is still as `snapshot` shows it.

    For who must look at the journal's other records before each try: the work may be done meanwhile.

    Raises
    ------
    PositionConflict
        Somebody wrote since: read, and decide again.
    """
    held = holder(snapshot)
    if held is not None:
        return held
    until = snapshot.server_time + seconds
    record: Record = {"claim": owner, "until": until}
    return Claim(journal, owner, until, await journal.append(record, snapshot))
