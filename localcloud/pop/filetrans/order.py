"""The `Task` of SubmitTask: a JSON text, checked before anything is queued."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.account import Account, SpeechProject
from localcloud.nls.download import is_address, is_loopback, is_url
from localcloud.pop.errors import PopError
from localcloud.pop.filetrans.statuses import (
    APPKEY_UNREGISTERED,
    EMPTY_APPKEY,
    INVALID_CALLBACK,
    INVALID_FILE_URL,
    PARAMETER_INVALID,
    FileRefusal,
)

_READ = (
    "appkey",
    "app_key",  # older samples
    "file_link",
    "version",
    "enable_words",
    "enable_sample_rate_adaptive",
    "enable_callback",
    "callback_url",
    "first_channel_only",
    "max_end_silence",
    "max_single_segment_time",
)
# The engines write as they do: these change nothing.
_TAKEN_FLAGS = (
    "enable_inverse_text_normalization",
    "enable_disfluency",
    "enable_punctuation_prediction",
    "enable_timestamp_alignment",
)
_TAKEN_TEXTS = ("vocabulary_id", "class_vocabulary_id", "customization_id")
_UNBUILT = (
    "auto_split",
    "supervise_type",
    "speaker_num",
    "valid_times",
    "enable_semantic_sentence_detection",
    "special_word_filter",
    "punctuation_mark",
    "sentence_max_length",
)


@dataclass(frozen=True, slots=True)
class FileOrder:
    """A checked task. `first_only` is None where the model's rate decides."""

    project: SpeechProject
    file_link: str
    version: str
    words: bool
    adaptive: bool
    callback_url: str
    first_only: bool | None
    silence_ms: int
    longest_ms: int

    @property
    def channels(self) -> int:
        """How many channels are recognised at most: both at 8 kHz, the first at 16 kHz, unless told."""
        first_only = self.project.sample_rate_hz != 8000 if self.first_only is None else self.first_only
        return 1 if first_only else 2


def read_order(text: str, account: Account, *, refuse_addresses: bool) -> FileOrder:
    """Check a task.

    Raises
    ------
    FileRefusal
        41050013 for what is no JSON object or has a value out of range, 41050014 and 41050015 for the AppKey, 41050011
        for the file's URL, 41050012 for the callback's.
    PopError
        501 for a parameter that is not built, or not known.
    """
    values = _object(text)
    _refuse_unbuilt(values)
    appkey = values.get("appkey") or values.get("app_key")
    if not appkey:
        raise FileRefusal(EMPTY_APPKEY)
    project = account.projects.get(appkey) if isinstance(appkey, str) else None
    if project is None:
        raise FileRefusal(APPKEY_UNREGISTERED)
    file_link = values.get("file_link")
    if not _may_be_fetched(file_link, refuse_addresses):
        raise FileRefusal(INVALID_FILE_URL)
    callback_url = ""
    if _flag(values, "enable_callback"):
        callback_url = str(values.get("callback_url") or "")
        if not _may_be_fetched(callback_url, refuse_addresses):
            raise FileRefusal(INVALID_CALLBACK)
    version = values.get("version", "4.0")
    if version not in ("2.0", "4.0"):
        raise FileRefusal(PARAMETER_INVALID)
    words, adaptive = _flag(values, "enable_words"), _flag(values, "enable_sample_rate_adaptive")
    if version == "2.0" and (words or adaptive):  # both are documented to need 4.0
        raise FileRefusal(PARAMETER_INVALID)
    for name in _TAKEN_FLAGS:
        _flag(values, name)
    return FileOrder(
        project,
        str(file_link),
        version,
        words,
        adaptive,
        callback_url,
        None if values.get("first_channel_only") is None else _flag(values, "first_channel_only"),
        _number(values, "max_end_silence", 800, 200, 6000),
        _number(values, "max_single_segment_time", 60_000, 5000, 3_600_000),
    )


def _object(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileRefusal(PARAMETER_INVALID) from error
    if not isinstance(values, dict):
        raise FileRefusal(PARAMETER_INVALID)
    return values


def _refuse_unbuilt(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        off = value in (None, False, "", [])
        if name not in (*_READ, *_TAKEN_FLAGS, *_TAKEN_TEXTS) and not (name in _UNBUILT and off):
            raise PopError("NotImplemented", f"localcloud does not serve {name[:64]!r} in Task.")


def _may_be_fetched(url: object, refuse_addresses: bool) -> bool:
    if not isinstance(url, str) or not is_url(url):
        return False
    return not is_address(url) or (is_loopback(url) and not refuse_addresses)


def _flag(values: Mapping[str, Any], name: str) -> bool:
    value = values.get(name)
    if value not in (None, True, False):
        raise FileRefusal(PARAMETER_INVALID)
    return value is True


def _number(values: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise FileRefusal(PARAMETER_INVALID)
    return value
