"""The official clients of one target, and the few calls that the probe and the portable contract suite make."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from ops.probe_target import Target

TIMEOUT_SECONDS = 20


def bucket(target: Target, name: str = "") -> Any:
    """An `oss2.Bucket` that signs with V4; the scratch bucket unless named."""
    import oss2

    key = (target.access_key_id, target.access_key_secret)
    auth = (
        oss2.ProviderAuthV4(oss2.credentials.StaticCredentialsProvider(*key, target.security_token))
        if target.security_token
        else oss2.AuthV4(*key)
    )
    made: Any = oss2.Bucket(
        auth, target.oss, name or target.bucket, region=target.region, connect_timeout=TIMEOUT_SECONDS
    )
    return made


def rpc(
    target: Target,
    base: str,
    action: str,
    version: str,
    *,
    method: str = "POST",
    query: dict[str, str] | None = None,
    body: dict[str, str] | None = None,
) -> dict[str, Any]:
    """One POP call by aliyunsdkcore; https unless it is loopback. Raises the SDK's own exceptions."""
    from aliyunsdkcore.auth.credentials import AccessKeyCredential, StsTokenCredential
    from aliyunsdkcore.client import AcsClient
    from aliyunsdkcore.http import protocol_type
    from aliyunsdkcore.request import CommonRequest

    key = (target.access_key_id, target.access_key_secret)
    credential = StsTokenCredential(*key, target.security_token) if target.security_token else AccessKeyCredential(*key)
    client = AcsClient(region_id=target.region, credential=credential, auto_retry=False, timeout=TIMEOUT_SECONDS)
    address = urlsplit(base)
    request = CommonRequest(domain=address.netloc, version=version, action_name=action)
    request.set_method(method)
    request.set_protocol_type(protocol_type.HTTP if address.scheme == "http" else protocol_type.HTTPS)
    for name, value in (query or {}).items():
        request.add_query_param(name, value)
    for name, value in (body or {}).items():
        request.add_body_params(name, value)
    try:
        answer: dict[str, Any] = json.loads(client.do_action_with_exception(request))
        return answer
    finally:
        client.session.close()


def create_token(target: Target) -> tuple[str, int]:
    """A speech token and its ExpireTime, epoch seconds. Every token issued stays valid: ask seldom."""
    said = rpc(target, target.pop, "CreateToken", "2019-02-28")["Token"]
    return str(said["Id"]), int(said["ExpireTime"])


def synthesise(target: Target, token: str, text: str, **more: Any) -> Any:
    """`POST /stream/v1/tts`; the `requests.Response`, streamed and not yet read."""
    import requests

    values = {"appkey": target.appkey, "token": token, "text": text, "format": "pcm", "sample_rate": 16000, **more}
    return requests.post(
        f"{target.nls_rest}/stream/v1/tts", json=values, timeout=TIMEOUT_SECONDS, stream=True, allow_redirects=False
    )


def functions(target: Target) -> Any:
    """The FC 3.0 client."""
    from alibabacloud_fc20230330.client import Client
    from alibabacloud_tea_openapi import models as open_api

    address = urlsplit(target.fc)
    made: Any = Client(
        open_api.Config(
            access_key_id=target.access_key_id,
            access_key_secret=target.access_key_secret,
            security_token=target.security_token or None,
            endpoint=address.netloc,
            protocol=address.scheme,
            region_id=target.region,
            read_timeout=60_000,
            connect_timeout=5_000,
        )
    )
    return made
