"""Checks of what is believed of the speech service and its tokens."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from ops import probe_clients
from ops.probe_check import Check, Probe, Seen

TEXT = "北京的天气。"
# What its error pages and samples name for a voice that is not there, a voice that is not ours, and an empty text.
VOICE_CODES = frozenset({40000001, 40000003, 41020001, 51020001})
TEXT_CODES = frozenset({40000000, 40000003, 40010003, 41020001})
TOKEN_REFUSED = 40000001
_DAY_HOURS = (20, 28)


def _spoken(probe: Probe) -> tuple[int, dict[str, str], bytes]:
    """One synthesis for the checks that only look at its form."""

    def make() -> tuple[int, dict[str, str], bytes]:
        answer = probe_clients.synthesise(probe.target, probe.token()[0], TEXT)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status_code, headers, answer.content

    found: tuple[int, dict[str, str], bytes] = probe.once("spoken", make)
    return found


def content_type(probe: Probe) -> Seen:
    """The Content-Type of PCM."""
    status, headers, body = _spoken(probe)
    kind = headers.get("content-type", "none")
    return Seen.judged(f"{status}, {kind}, {len(body)} bytes", (status, kind) == (200, "audio/mpeg"))


def framing(probe: Probe) -> Seen:
    """How the end of a body is known."""
    _, headers, body = _spoken(probe)
    length, coding = headers.get("content-length"), headers.get("transfer-encoding", "")
    text = f"content-length {length or 'none'}, transfer-encoding {coding or 'none'}, {len(body)} bytes"
    return Seen.judged(text, coding.lower() == "chunked" or length == str(len(body)))


def token_life(probe: Probe) -> Seen:
    """ExpireTime of a fresh token."""
    hours = (probe.token()[1] - time.time()) / 3600
    return Seen.judged(f"{hours:.1f} h", _DAY_HOURS[0] <= hours <= _DAY_HOURS[1])


def refusals(probe: Probe) -> Seen:
    """A voice that does not exist, and a text that is empty."""
    voice = _refusal(probe, TEXT, voice="isi_no_such_voice")
    text = _refusal(probe, "")
    known = voice[1] in VOICE_CODES and text[1] in TEXT_CODES
    return Seen.judged(f"voice: HTTP {voice[0]}, {voice[1]}; empty text: HTTP {text[0]}, {text[1]}", known)


def _refusal(probe: Probe, text: str, **more: Any) -> tuple[int, int]:
    answer = probe_clients.synthesise(probe.target, probe.token()[0], text, **more)
    if not answer.headers.get("Content-Type", "").startswith("application/json"):
        answer.close()
        return answer.status_code, 0
    return answer.status_code, int(answer.json().get("status", 0))


def dead_token(probe: Probe) -> Seen:
    """A task with a token that nobody issued: refused at the handshake, or as the first thing that is said."""
    from nls.websocket import WebSocketBadStatusException, create_connection

    token = uuid.uuid4().hex  # the form of one
    try:
        connection = create_connection(
            probe.target.nls_websocket, timeout=probe_clients.TIMEOUT_SECONDS, header=[f"X-NLS-Token: {token}"]
        )
    except WebSocketBadStatusException as error:
        return Seen.judged(f"handshake: HTTP {error.status_code}", error.status_code == 403)
    try:
        header = {
            "message_id": uuid.uuid4().hex,
            "task_id": uuid.uuid4().hex,
            "namespace": "SpeechTranscriber",
            "name": "StartTranscription",
            "appkey": probe.target.appkey,
        }
        connection.send(json.dumps({"header": header, "payload": {"format": "pcm", "sample_rate": 16000}}))
        said = json.loads(connection.recv())["header"]
    finally:
        connection.close()
    return Seen.judged(
        f"{said.get('name')} {said.get('status')}",
        (said.get("name"), said.get("status")) == ("TaskFailed", TOKEN_REFUSED),
    )


CHECKS = (
    Check(
        "the speech service answers REST synthesis with `audio/mpeg` for PCM too",
        "one synthesis of 6 characters, shared",
        content_type,
    ),
    Check(
        "REST synthesis frames its body (chunked or Content-Length)",
        "the same synthesis",
        framing,
    ),
    Check("CreateToken's life is about 24 h", "one CreateToken, shared", token_life),
    Check(
        "the speech service refuses voices and texts with the codes of its error pages",
        "two syntheses that should be refused, at most 6 characters billed",
        refusals,
    ),
    Check(
        "the speech gateway answers 403 or `TaskFailed` 40000001 for a token that is not good",
        "one connection without a task",
        dead_token,
    ),
)
