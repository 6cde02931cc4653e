"""The schemas of `/openapi.json`: what is sent, and what is answered."""

from __future__ import annotations

from typing import Final

from functions.prompts import text
from functions.prompts.consumers import CONSUMERS
from functions.prompts.rendition import CONTAINERS, ENCODINGS, RATES_HZ
from functions.prompts.request import DEFAULT_WAIT_MS, LIFE_SECONDS, MAX_WAIT_MS, PAGE, RATE, SAY_FIELDS, VOLUME
from functions.prompts.voices import LOCALES
from isikit.openapi import PROBLEM, Json, closed, ref


def _whole(bounds: tuple[int, int, int]) -> Json:
    return {"type": "integer", "minimum": bounds[0], "maximum": bounds[1], "default": bounds[2]}


_NULLABLE_TIME: Final[Json] = {"type": ["string", "null"], "format": "date-time"}
_AUDIO: Final = closed(
    {
        "content_type": {"type": "string"},
        "encoding": {"enum": list(ENCODINGS)},
        "container": {"enum": list(CONTAINERS)},
        "sample_rate_hz": {"enum": list(RATES_HZ)},
        "bytes": {"type": ["integer", "null"], "description": "null while it is pending"},
        "duration_ms": {"type": ["integer", "null"], "description": "null while it is pending"},
    }
)
_REQUEST: Final[Json] = {
    **closed(
        {
            "text": {"type": "string", "description": f"up to {text.MAX_CHARACTERS} characters; more with wait_ms 0"},
            "ssml": {"type": "string", "description": "one <speak> element, up to 300 characters without its tags"},
            "locale": {"type": "string", "examples": list(LOCALES), "description": "the tenant's default otherwise"},
            "voice": {"type": "string", "description": "one of GET /v1/voices that speaks the locale"},
            "volume": _whole(VOLUME),
            "speech_rate": _whole(RATE),
            "pitch_rate": _whole(RATE),
            "consumer": {"enum": list(CONSUMERS), "description": "who will fetch the audio; decides its form"},
            "encoding": {"enum": list(ENCODINGS)},
            "container": {"enum": list(CONTAINERS)},
            "sample_rate_hz": {"enum": list(RATES_HZ)},
            "cache": {"enum": ["use", "refresh", "bypass"], "default": "use"},
            "retention": {"enum": ["permanent", "day"], "description": "the tenant's default otherwise"},
            "wait_ms": _whole((0, MAX_WAIT_MS, DEFAULT_WAIT_MS)),
            "call_id": {"type": "string", "maxLength": 128},
        }
    ),
    "required": [],
    "oneOf": [{"required": ["text"]}, {"required": ["ssml"]}],
}
_FIELDS: Final[Json] = {**_REQUEST["properties"], "life_seconds": _whole(LIFE_SECONDS)}
_SAY_REQUEST: Final[Json] = {**_REQUEST, "properties": {name: _FIELDS[name] for name in SAY_FIELDS}}
_SAY_ANSWER: Final = closed(
    {
        "url": {"type": "string", "format": "uri", "minLength": 64, "maxLength": 255},
        "voice_used": {"type": "string"},
        "expires_at": {"type": "string", "format": "date-time"},
    }
)
_PURGE_REQUEST: Final[Json] = {
    **closed(
        {
            "made_before": {"type": "string", "format": "date-time", "description": "in UTC, whole seconds, with Z"},
            "voice": {"type": "string"},
            "locale": {"type": "string"},
            "retention": {"enum": ["permanent", "day"]},
            "all": {"type": "boolean", "default": False, "description": "needed where nothing else is given"},
            "dry_run": {"type": "boolean", "default": True, "description": "nothing is deleted unless this is false"},
            "max": {**_whole(PAGE), "description": "how many prompts are looked at"},
            "cursor": {"type": "string", "description": "of the page before"},
        }
    ),
    "required": [],
}
_PURGED: Final = closed(
    {
        "dry_run": {"type": "boolean"},
        "examined": {"type": "integer"},
        "prompts": {
            "type": "array",
            "description": "those that fit; deleted unless it is a dry run",
            "items": closed(
                {
                    "id": {"type": "string", "description": "or once/... for what bypassed the cache"},
                    "retention": {"enum": ["permanent", "day"]},
                    "voice": {"type": "string"},
                    "locale": {"type": ["string", "null"], "description": "null where the recipe is lost"},
                    "made_at": {"type": ["string", "null"], "format": "date-time"},
                }
            ),
        },
        "cursor": {"type": ["string", "null"], "description": "for the next page; null after the last one"},
    }
)
_RETIRED: Final = closed({"id": {"type": "string"}, "status": {"enum": ["retired"]}})
_ANSWER: Final = closed(
    {
        "id": {"type": "string"},
        "url": {"type": "string", "format": "uri", "minLength": 64, "maxLength": 255},
        "status": {
            "enum": ["ready", "degraded", "pending"],
            "description": "degraded: the tenant's neutral prompt, because the speech service is down",
        },
        "cache": {"enum": ["hit", "miss", "coalesced", "bypass"]},
        "voice_used": {"type": "string", "description": "another than was asked for where that one was refused"},
        "audio": ref("PromptAudio"),
        "billed": closed({"characters": {"type": "integer"}, "calls": {"type": "integer"}}),
        "expires_at": _NULLABLE_TIME,
    }
)
_KEPT: Final = closed(
    {
        "id": {"type": "string"},
        "status": {"enum": ["ready", "pending"]},
        "voice_used": {"type": "string"},
        "renditions": {
            "type": "array",
            "items": closed(
                {
                    "url": {"type": "string", "format": "uri"},
                    "retention": {"enum": ["permanent", "day"]},
                    "audio": ref("PromptAudio"),
                    "expires_at": _NULLABLE_TIME,
                }
            ),
        },
    }
)
_VOICES: Final = closed(
    {
        "voices": {
            "type": "array",
            "items": closed(
                {
                    "name": {"type": "string"},
                    "locales": {"type": "array", "items": {"type": "string"}},
                    "sample_rates_hz": {"type": "array", "items": {"type": "integer"}},
                    "ssml": {"type": "boolean"},
                    "emotions": {"type": "boolean"},
                }
            ),
        },
        "default_locale": {"type": "string"},
        "default_voices": {"type": "object", "additionalProperties": {"type": "string"}},
    }
)
SCHEMAS: Final[Json] = {
    "PromptRequest": _REQUEST,
    "PromptAnswer": _ANSWER,
    "PromptAudio": _AUDIO,
    "PromptKept": _KEPT,
    "PromptRetired": _RETIRED,
    "PromptPurge": _PURGE_REQUEST,
    "PromptPurged": _PURGED,
    "PromptSayRequest": _SAY_REQUEST,
    "PromptSay": _SAY_ANSWER,
    "PromptVoices": _VOICES,
    "Problem": PROBLEM,
}
"""By name."""
