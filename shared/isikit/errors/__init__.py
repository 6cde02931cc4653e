"""All errors, in one tree. Each has a stable `code`, an HTTP status and advice a person can act on.

::

    IsiError                     500 host.unexpected
    ├── RequestError             400 request.invalid       the caller can put it right
    │   ├── NotJson              400 request.not_json
    │   ├── TooLarge             413 request.too_large
    │   ├── TooSlow              408 request.timeout
    │   ├── Unspeakable          422 request.unspeakable
    │   ├── NotFound             404 http.not_found
    │   ├── MethodNotAllowed     405 http.method_not_allowed
    │   ├── Gone                 410 prompt.gone
    │   └── SealError            400 seal.broken           sealed bytes that are not ours, or were changed
    ├── IdentityError
    │   ├── Refused              401 identity.refused      one answer: never tells a wrong key from a wrong tenant
    │   ├── IssuerUnavailable    503 identity.issuer_unavailable   a token whose issuer's keys cannot be had
    │   └── Forbidden            403 identity.forbidden
    ├── LimitError               429 limit.rate
    ├── Overloaded               503 host.overloaded       retry after 1 s
    ├── DeadlineExceeded         503 deadline.exceeded
    ├── SpeechError              502 nls.*                 table NLS
    │   ├── SpeechTokenRefused   502                       throw the token away, try once more with a new one
    │   ├── SpeechBusy           503                       back off, then again
    │   ├── SpeechUnavailable    503                       the service's own trouble
    │   ├── SpeechTextRefused    422                       text, SSML or voice that cannot be spoken
    │   └── SpeechAudioRefused   422                       audio that cannot be recognised
    ├── TokenError               502/503 pop.*             table POP
    ├── StorageError             503 oss.*                 table OSS
    │   ├── AlreadyExists        409 oss.already_exists    somebody was first
    │   └── PositionConflict     409 oss.position_conflict somebody appended first: read again
    ├── InvocationError          502/503 fc.*              table FC
    ├── AudioError               422 audio.unreadable
    └── ConfigError              500 config.invalid
        ├── TenantsUnavailable   503 tenants.unavailable
        └── KeysUnavailable      503 keys.unavailable

Over HTTP an error is always RFC 9457 `application/problem+json` (`problem`). What a service says about itself is mapped
to our own words by one table per source, because those texts echo tokens (`The token 'x' is invalid!`).
"""

from __future__ import annotations

from isikit.errors.fc import FC, invocation_error
from isikit.errors.nls import NLS, speech_error
from isikit.errors.oss import OSS, storage_error
from isikit.errors.pop import POP, role_error, token_error, token_error_again
from isikit.errors.problem import problem
from isikit.errors.tree import (
    AlreadyExists,
    AudioError,
    ConfigError,
    DeadlineExceeded,
    FieldError,
    Forbidden,
    Gone,
    IdentityError,
    InvocationError,
    IsiError,
    IssuerUnavailable,
    KeysUnavailable,
    LimitError,
    MethodNotAllowed,
    NotFound,
    NotJson,
    Overloaded,
    PositionConflict,
    Refused,
    RequestError,
    SealError,
    SpeechAudioRefused,
    SpeechBusy,
    SpeechError,
    SpeechTextRefused,
    SpeechTokenRefused,
    SpeechUnavailable,
    StorageError,
    TenantsUnavailable,
    TokenError,
    TooLarge,
    TooSlow,
    Unspeakable,
)

__all__ = [
    "FC",
    "NLS",
    "OSS",
    "POP",
    "AlreadyExists",
    "AudioError",
    "ConfigError",
    "DeadlineExceeded",
    "FieldError",
    "Forbidden",
    "Gone",
    "IdentityError",
    "InvocationError",
    "IsiError",
    "IssuerUnavailable",
    "KeysUnavailable",
    "LimitError",
    "MethodNotAllowed",
    "NotFound",
    "NotJson",
    "Overloaded",
    "PositionConflict",
    "Refused",
    "RequestError",
    "SealError",
    "SpeechAudioRefused",
    "SpeechBusy",
    "SpeechError",
    "SpeechTextRefused",
    "SpeechTokenRefused",
    "SpeechUnavailable",
    "StorageError",
    "TenantsUnavailable",
    "TokenError",
    "TooLarge",
    "TooSlow",
    "Unspeakable",
    "invocation_error",
    "problem",
    "role_error",
    "speech_error",
    "storage_error",
    "token_error",
    "token_error_again",
]
