"""Headers that several operations answer with."""

from __future__ import annotations

from localcloud.oss.records import Deletion, StoredObject


def version_headers(stored: StoredObject) -> dict[str, str]:
    """`x-oss-version-id`, in buckets that have a versioning status."""
    return {"x-oss-version-id": stored.version_id} if stored.versioned else {}


def deletion_headers(done: Deletion) -> dict[str, str]:
    """What a delete says of versions: the id concerned, and whether it is or was a delete marker."""
    headers = {"x-oss-version-id": done.version_id} if done.version_id else {}
    return {**headers, "x-oss-delete-marker": "true"} if done.marker else headers
