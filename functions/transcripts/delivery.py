"""One delivery of a recording's event, or one look at its job; and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from functions.transcripts.events import Created
from functions.transcripts.job_journal import JobJournal
from functions.transcripts.process import Transcripts
from isikit.host.context import Deadline

Outcome = Literal["ended", "claimed", "submitted", "waiting", "left", "unknown"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of one delivery: the job ended, somebody else is on it or will be, or the service has it.

    Attributes
    ----------
    told
        Of a job that ended: its latest generation as callers see it. Names and paths, no text.
    mark
        Of a job that ended: what marks it as open until its webhook is told; "" where nothing is left to be done.
    """

    job_id: str
    outcome: Outcome
    told: Mapping[str, Any] = field(default_factory=dict)
    mark: str = ""

    def answer(self) -> dict[str, Any]:
        """What the function answers about it, and so what a destination of asynchronous calls gets."""
        return {**self.told, "id": self.job_id, "outcome": self.outcome}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a recording's event, or a look at its job.

    Attributes
    ----------
    created
        What the event told; None where there is none: then nothing is waited for, and no generation opened.
    owner
        Of this delivery, as it stands in the journal.
    deadline
        When the outcome must be written.
    """

    created: Created | None
    journal: JobJournal
    process: Transcripts
    owner: str
    deadline: Deadline
