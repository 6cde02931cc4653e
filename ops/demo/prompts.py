"""Step 2: an IVR platform asks for prompts, fetches the audio as Asterisk does, and asks again."""

from __future__ import annotations

import audioop
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from ops.demo.sound import write_wav


class PromptWrong(Exception):
    """A prompt did not keep its contract; the message says which part."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the demo shows of one prompt."""

    text: str
    retention: str
    url: str
    first: str
    again: str
    duration_ms: int
    file: Path


def ask(local: dict[str, Any], text: str, retention: str) -> dict[str, Any]:
    """`POST /v1/prompts` through the gateway for an Asterisk."""
    answer = requests.post(
        f"{local['gateway']}/v1/prompts",
        headers={"X-Api-Key": local["tenant"]["api_key"]},
        json={"text": text, "retention": retention, "consumer": "asterisk"},
        timeout=40,
    )
    answer.raise_for_status()
    prompt: dict[str, Any] = answer.json()
    return prompt


def fetch(prompt: dict[str, Any]) -> bytes:
    """HEAD, then GET: both must agree to the byte, and be the audio that was promised."""
    head = requests.head(prompt["url"], timeout=30, allow_redirects=False)
    body = requests.get(prompt["url"], timeout=30, allow_redirects=False)
    for name in ("ETag", "Last-Modified", "Content-Length", "Content-Type", "Cache-Control"):
        if head.headers.get(name) != body.headers.get(name) or not head.headers.get(name):
            raise PromptWrong(f"HEAD and GET differ in {name}")
    if (head.status_code, body.status_code, len(body.content)) != (200, 200, prompt["audio"]["bytes"]):
        raise PromptWrong(f"HEAD {head.status_code}, GET {body.status_code}, {len(body.content)} bytes")
    return body.content


def syntheses(local: dict[str, Any]) -> int:
    """How many syntheses the speech service really started."""
    counters = requests.get(f"{local['admin']}/counters", timeout=10).json()
    return int(counters.get("nls.synthesis", 0))


def journey(local: dict[str, Any], text: str, retention: str, folder: Path, name: str) -> Prompt:
    """Ask, fetch, ask again; the second time must be a hit with the same URL and no synthesis."""
    first = ask(local, text, retention)
    audio = fetch(first)
    file = folder / f"{name}.ulaw"
    file.write_bytes(audio)
    write_wav(folder / f"{name}.wav", audioop.ulaw2lin(audio, 2), 8000)  # the same sound, for a person's player
    spent = syntheses(local)
    again = ask(local, text, retention)
    if (again["cache"], again["url"], again["billed"]["calls"]) != ("hit", first["url"], 0) or syntheses(
        local
    ) != spent:
        raise PromptWrong(f"the second request was {again['cache']}, billed {again['billed']}")
    return Prompt(text, retention, first["url"], first["cache"], again["cache"], first["audio"]["duration_ms"], file)
