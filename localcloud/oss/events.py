"""The event OSS sends for a created object, in its native shape.

Source: the OSS trigger's event samples of Function Compute's documentation and of fc-runtime-go-sdk's events/oss.go.
The key is plain UTF-8 there, never URL-encoded.
"""

from __future__ import annotations

import time
from typing import Any

from localcloud.oss.records import StoredObject


def object_created(
    operation: str,
    stored: StoredObject,
    *,
    region: str,
    account_id: str,
    request_id: str,
    source_ip: str,
    principal_id: str,
    delta_bytes: int,
    position: int | None = None,
) -> dict[str, Any]:
    """The native event of one commit: one element of the `events` list that a function receives.

    Parameters
    ----------
    operation
        `PutObject`, `CopyObject`, `AppendObject`, ...
    delta_bytes
        How many bytes the bucket grew by; negative when a smaller object replaced a larger one.
    position
        Where an append began.
    """
    thing: dict[str, Any] = {
        "deltaSize": delta_bytes,
        "eTag": stored.etag,
        "key": stored.key,
        "objectMeta": {
            "mimeType": stored.attributes.content_type,
            "userMeta": {f"x-oss-meta-{name}": value for name, value in stored.attributes.metadata.items()},
        },
        "size": stored.size,
    }
    if position is not None:
        thing["position"] = position
    milliseconds = int(stored.modified_at * 1000) % 1000
    return {
        "eventName": f"ObjectCreated:{operation}",
        "eventSource": "acs:oss",
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(stored.modified_at)) + f".{milliseconds:03d}Z",
        "eventVersion": "1.0",
        "oss": {
            "bucket": {
                "arn": f"acs:oss:{region}:{account_id}:{stored.bucket}",
                "name": stored.bucket,
                "ownerIdentity": account_id,
                "virtualBucket": "",
            },
            "object": thing,
            "ossSchemaVersion": "1.0",
            "ruleId": "",
        },
        "region": region,
        "requestParameters": {"sourceIPAddress": source_ip},
        "responseElements": {"requestId": request_id},
        "userIdentity": {"principalId": principal_id},
    }
