"""Which pages may upload to the recordings bucket: those of the origins that the tenants file lists.

OSS knows cross-origin rules per bucket, not per tenant, so this is the union over all tenants. It opens nothing by
itself: whatever is uploaded must be signed, and the signature binds the tenant's own path.
"""

from __future__ import annotations

import json

import oss2

from ops.endpoints import Endpoints

METHODS = ["POST", "PUT"]
HEADERS = ["content-type", "x-oss-forbid-overwrite", "x-oss-meta-*"]
EXPOSED = ["ETag", "x-oss-request-id"]
REMEMBERED_SECONDS = 600


def allow_uploads(endpoints: Endpoints, state: str, recordings: str, *, key: str = "config/tenants.json") -> list[str]:
    """Write the rule, or take it away where no tenant lists an origin. To be run again when origins change.

    Parameters
    ----------
    state, recordings
        The buckets.
    key
        Of the tenants file.

    Returns
    -------
    list
        The origins, sorted.
    """
    file = json.loads(endpoints.bucket(state).get_object(key).read())
    origins = sorted({origin for tenant in file["tenants"] for origin in tenant.get("origins", ())})
    bucket = endpoints.bucket(recordings)
    if origins:
        rule = oss2.models.CorsRule(
            allowed_origins=origins,
            allowed_methods=METHODS,
            allowed_headers=HEADERS,
            expose_headers=EXPOSED,
            max_age_seconds=REMEMBERED_SECONDS,
        )
        bucket.put_bucket_cors(oss2.models.BucketCors([rule]))
    else:
        bucket.delete_bucket_cors()
    return origins
