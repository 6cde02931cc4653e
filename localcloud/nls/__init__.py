"""The speech service on the wire: WebSocket and REST, with the real one's states, codes, texts, limits and quotas.

Known to be kinder or different: `SentenceEnd.time` is the audio processed when the silence was long enough;
intermediate results come when a sentence is complete, as growing parts of it; punctuation, number and hot-word
switches are taken and change nothing. What is not built (subtitles, words, flowing synthesis, asynchronous REST) is
refused. docs/localcloud/nls.md lists every rule with its source and its test.
"""

from __future__ import annotations

from localcloud.nls.app import make_app
from localcloud.nls.gateway import GATEWAY, Gateway
from localcloud.nls.quotas import Limits

__all__ = ["GATEWAY", "Gateway", "Limits", "make_app"]
