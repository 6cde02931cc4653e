"""The function's own STS credentials: those of the latest request, and no AccessKey anywhere.

Function Compute sends fresh credentials with every request. Those in the environment are of process start and live
36 hours [vendor's documentation of the context], so an instance kept alive longer would sign with dead ones.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isikit.errors.tree import ConfigError

if TYPE_CHECKING:
    import oss2


@dataclass(frozen=True, slots=True)
class StsCredentials:
    """One consistent set. Its repr shows nothing."""

    access_key_id: str
    access_key_secret: str
    security_token: str = ""

    def __repr__(self) -> str:
        return "StsCredentials(...)"


class Credentials:
    """Holds the latest set; safe to use from threads. One per process: `provider`."""

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self._env = env
        self._lock = threading.Lock()
        self._latest: StsCredentials | None = None

    def update(self, headers: Mapping[str, str]) -> None:
        """Take over the credentials of a request.

        Parameters
        ----------
        headers
            The platform's headers, names in lower case. An incomplete set is ignored: never half old, half new.
        """
        key_id = headers.get("x-fc-access-key-id", "")
        secret = headers.get("x-fc-access-key-secret", "")
        if key_id and secret:
            token = headers.get("x-fc-security-token", "")
            known = self._latest
            if known is not None and (known.access_key_id, known.access_key_secret, known.security_token) == (
                key_id, secret, token,
            ):  # fmt: skip
                return  # as with nearly every request
            with self._lock:
                self._latest = StsCredentials(key_id, secret, token)

    def current(self) -> StsCredentials:
        """The latest request's credentials, or before the first request the environment's.

        Raises
        ------
        ConfigError
            `credentials.missing`: the function has no role.
        """
        with self._lock:
            latest = self._latest
        if latest is not None:
            return latest
        key_id = self._env.get("ALIBABA_CLOUD_ACCESS_KEY_ID", "")
        secret = self._env.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "")
        if not key_id or not secret:
            raise ConfigError("There are no credentials. Give the function a role.", code="credentials.missing")
        return StsCredentials(key_id, secret, self._env.get("ALIBABA_CLOUD_SECURITY_TOKEN", ""))

    def get_credentials(self) -> oss2.credentials.Credentials:
        """The same, in the shape that oss2's provider-based signers (`ProviderAuthV4`) ask for before every request."""
        from oss2.credentials import Credentials as OssCredentials

        current = self.current()
        return OssCredentials(current.access_key_id, current.access_key_secret, current.security_token)

    def __repr__(self) -> str:
        return "Credentials(...)"


provider = Credentials()
"""The process's own."""
