"""Which function answers which path.

Everything that is not another function's goes to `tts`, so that 404 and 405 are the functions' own problem+json
everywhere.
"""

from __future__ import annotations

_EXACT = {"/v1/token": "token", "/v1/uploads": "token", "/v1/recognitions": "asr"}
_TREES = {"/v1/token/": "token", "/v1/uploads/": "token", "/v1/recognitions/": "asr"}
_PREFIXES = {"/v1/jobs": "asr", "/v1/calls": "asr", "/v1/callbacks/": "asr"}


def function_of(path: str) -> str:
    """The function (`token`, `tts` or `asr`) of a decoded path.

    >>> [function_of(path) for path in ("/v1/token", "/v1/jobs/7/replay", "/p/a/b/pcm.wav", "/nowhere")]
    ['token', 'asr', 'tts', 'tts']
    """
    if path in _EXACT:
        return _EXACT[path]
    for table in (_TREES, _PREFIXES):
        for prefix, function in table.items():
            if path.startswith(prefix):
                return function
    return "tts"
