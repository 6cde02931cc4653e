"""Step 4: what the functions said about it, as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

SHOWN = ("lease.granted", "synthesis.finished", "prompt.served", "job.finished")


def events(folder: Path) -> Iterator[dict[str, Any]]:
    """Every JSON line of every log, in order of time; the platform's framing lines are not JSON."""
    lines = (line for path in folder.glob("*.jsonl") for line in path.read_text(encoding="utf-8").splitlines())
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return iter(sorted(found, key=lambda event: str(event.get("time", ""))))


def table(folder: Path) -> Table:
    """The events that a person wants to see first."""
    shown = Table(
        title="What the logs say (characters paid and saved, seconds of audio)", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for column in ("event", "what"):
        shown.add_column(column, no_wrap=True)
    for column in ("ms", "paid", "saved", "s"):
        shown.add_column(column, justify="right", no_wrap=True)
    for event in events(folder):
        if event.get("event") in SHOWN:
            shown.add_row(event["event"], _what(event), *_figures(event))
    return shown


def _what(event: dict[str, Any]) -> str:
    names = ("mode", "state") if event["event"] == "job.finished" else ("cache", "retention", "rendition")
    parts = [event.get(name) for name in names]
    if "expires_in" in event:
        parts.append(f"for {event['expires_in']} s")
    return " ".join(str(part) for part in parts if part)


def _figures(event: dict[str, Any]) -> Iterator[str]:
    audio_ms = event.get("audio_ms") or (event.get("audio_seconds") or 0) * 1000
    yield f"{event['duration_ms']:.1f}" if "duration_ms" in event else ""
    yield str(event.get("characters_billed") or "")
    yield str(event.get("characters_saved") or "")
    yield f"{audio_ms / 1000:.1f}" if audio_ms else ""
