"""The one account that localcloud serves: its keys, its STS sessions, its speech AppKeys and speech tokens."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field

from localcloud.clock import Clock

STS_LIFE_SECONDS = 36 * 3600  # what Function Compute injects lives 36 h
_ALPHABET = string.ascii_letters + string.digits
TOKEN_LIFE_SECONDS = 24 * 3600  # field measurements say about 24 h; clients must read ExpireTime


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A long-lived key (`security_token` empty) or an STS session."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str = field(default="", repr=False)
    principal: str = "root"
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class SpeechProject:
    """A project of the speech console: language and sample rate belong to its AppKey, not to the request."""

    appkey: str
    locale: str
    sample_rate_hz: int


@dataclass(slots=True)
class Account:
    """Everything that identifies callers. One instance is shared by all services of one localcloud."""

    clock: Clock
    region: str = "cn-beijing"
    account_id: str = "1234567890123456"
    root: AccessKey = field(
        default_factory=lambda: AccessKey("LTAI5t" + secrets.token_hex(9), secrets.token_urlsafe(22)[:30])
    )
    projects: dict[str, SpeechProject] = field(default_factory=dict)
    _sessions: dict[str, AccessKey] = field(default_factory=dict)
    _tokens: dict[str, float] = field(default_factory=dict)
    _lent: dict[str, frozenset[str]] = field(default_factory=dict)

    def lend(self, role_arn: str, *principals: str) -> None:
        """Let another account's role trust principals of this one (`root`, `role/speech-token-dev`)."""
        self._lent[role_arn.lower()] = frozenset(principals)

    def trusted_by(self, role_arn: str) -> frozenset[str] | None:
        """Who may assume another account's role; None for a role that does not exist."""
        return self._lent.get(role_arn.lower())

    def add_project(self, locale: str = "zh-CN", sample_rate_hz: int = 16000) -> SpeechProject:
        """Create a speech project and return it with a new AppKey (16 characters, as the console makes them)."""
        appkey = "".join(secrets.choice(_ALPHABET) for _ in range(16))
        project = SpeechProject(appkey, locale, sample_rate_hz)
        self.projects[project.appkey] = project
        return project

    def open_session(self, principal: str, life_seconds: float = STS_LIFE_SECONDS) -> AccessKey:
        """Issue STS credentials for a role, as AssumeRole and Function Compute do."""
        session = AccessKey(
            "STS." + secrets.token_hex(12),
            secrets.token_urlsafe(33),
            "CAIS" + secrets.token_urlsafe(96),
            principal,
            self.clock.now() + life_seconds,
        )
        self._sessions[session.access_key_id] = session
        return session

    def find(self, access_key_id: str) -> AccessKey | None:
        """The key or session of that id, expired or not; the caller checks `expires_at` and the security token."""
        if access_key_id == self.root.access_key_id:
            return self.root
        return self._sessions.get(access_key_id)

    def expired(self, key: AccessKey) -> bool:
        """Whether an STS session has reached its end."""
        return key.expires_at is not None and self.clock.now() >= key.expires_at

    def new_speech_token(self, life_seconds: float = TOKEN_LIFE_SECONDS) -> tuple[str, int]:
        """A speech token (32 hex characters) and its ExpireTime in whole epoch seconds. Earlier tokens stay valid."""
        token, expires_at = secrets.token_hex(16), int(self.clock.now() + life_seconds)
        self._tokens[token] = expires_at
        return token, expires_at

    def speech_token_state(self, token: str) -> str:
        """`ok`, `expired` or `invalid`."""
        expires_at = self._tokens.get(token)
        if expires_at is None:
            return "invalid"
        return "ok" if self.clock.now() < expires_at else "expired"
