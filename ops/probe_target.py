"""Where the services of one account are, for the probe and for the contract suite with `TARGET=cloud`.

The only place that reads the `TARGET_*` variables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

VARIABLES = {
    "TARGET_REGION": "region of everything, for example cn-beijing",
    "TARGET_OSS": "OSS endpoint, for example https://oss-cn-beijing.aliyuncs.com",
    "TARGET_BUCKET": "a private scratch bucket, unversioned; only isi-contract/ and isi-probe/ are written",
    "TARGET_NLS_REST": "for example https://nls-gateway-cn-beijing.aliyuncs.com",
    "TARGET_NLS_WEBSOCKET": "for example wss://nls-gateway-cn-beijing.aliyuncs.com/ws/v1",
    "TARGET_POP": "CreateToken, for example https://nls-meta.cn-shanghai.aliyuncs.com",
    "TARGET_FILETRANS": "SubmitTask, for example https://filetrans.cn-beijing.aliyuncs.com",
    "TARGET_FC": "Function Compute, for example https://ACCOUNT.cn-beijing.fc.aliyuncs.com",
    "TARGET_APPKEY": "AppKey of a 16 kHz Chinese project",
    "TARGET_ACCESS_KEY_ID": "a RAM user's key, with rights for these services alone",
    "TARGET_ACCESS_KEY_SECRET": "its secret",
}
OPTIONAL = {
    "TARGET_SECURITY_TOKEN": "when the key is an STS session",
    "TARGET_GATEWAY": "base URL of the deployed functions; without it the check of event keys is left out",
    "TARGET_API_KEY": "X-Api-Key of a tenant there",
    "TARGET_TENANT": "that tenant's id",
    "TARGET_RECORDINGS": "the bucket whose events reach the deployed functions",
}


class TargetError(Exception):
    """Something is not set or is not a URL that credentials may be sent to."""


@dataclass(frozen=True, slots=True)
class Target:
    """Addresses and credentials. URLs are bases without a slash at the end; the last four are empty when unknown."""

    region: str
    oss: str
    bucket: str
    nls_rest: str
    nls_websocket: str
    pop: str
    filetrans: str
    fc: str
    appkey: str
    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str = field(default="", repr=False)
    gateway: str = ""
    api_key: str = field(default="", repr=False)
    tenant: str = ""
    recordings: str = ""

    def __post_init__(self) -> None:
        for url in (self.oss, self.nls_rest, self.nls_websocket, self.pop, self.filetrans, self.fc):
            parts = urlsplit(url)
            if not parts.hostname or (
                parts.scheme not in ("https", "wss") and parts.hostname not in ("127.0.0.1", "localhost")
            ):
                raise TargetError(f"{url!r} is not https:// or wss:// (plain only on loopback)")

    @property
    def is_local(self) -> bool:
        """Whether it is a localcloud."""
        return urlsplit(self.oss).hostname in ("127.0.0.1", "localhost")


def from_environment(env: Mapping[str, str]) -> Target:
    """The account that `TARGET_*` names.

    Raises
    ------
    TargetError
        With everything that is missing, at once.
    """
    if missing := [f"  {name}: {meaning}" for name, meaning in VARIABLES.items() if not env.get(name)]:
        raise TargetError("not set:\n" + "\n".join(missing))
    return Target(
        region=env["TARGET_REGION"],
        oss=env["TARGET_OSS"].rstrip("/"),
        bucket=env["TARGET_BUCKET"],
        nls_rest=env["TARGET_NLS_REST"].rstrip("/"),
        nls_websocket=env["TARGET_NLS_WEBSOCKET"],
        pop=env["TARGET_POP"].rstrip("/"),
        filetrans=env["TARGET_FILETRANS"].rstrip("/"),
        fc=env["TARGET_FC"].rstrip("/"),
        appkey=env["TARGET_APPKEY"],
        access_key_id=env["TARGET_ACCESS_KEY_ID"],
        access_key_secret=env["TARGET_ACCESS_KEY_SECRET"],
        security_token=env.get("TARGET_SECURITY_TOKEN", ""),
        gateway=env.get("TARGET_GATEWAY", "").rstrip("/"),
        api_key=env.get("TARGET_API_KEY", ""),
        tenant=env.get("TARGET_TENANT", ""),
        recordings=env.get("TARGET_RECORDINGS", ""),
    )


def from_local(file: Path) -> Target:
    """A running localcloud, by its `local.json`; the scratch bucket is its state bucket.

    Raises
    ------
    TargetError
        The file is not there.
    """
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TargetError(f"{file} is not there; start the local cloud with ./scripts/up") from error
    return Target(
        region=found["oss"]["region"],
        oss=found["oss"]["endpoint"],
        bucket=found["oss"]["buckets"]["state"],
        nls_rest=found["nls"]["rest"],
        nls_websocket=found["nls"]["websocket"],
        pop=found["pop"],
        filetrans=found["pop"],
        fc=found["fc"],
        appkey=found["nls"]["appkey"],
        access_key_id=found["credentials"]["access_key_id"],
        access_key_secret=found["credentials"]["access_key_secret"],
        gateway=found["gateway"],
        api_key=found["tenant"]["api_key"],
        tenant=found["tenant"]["id"],
        recordings=found["oss"]["buckets"]["recordings"],
    )
