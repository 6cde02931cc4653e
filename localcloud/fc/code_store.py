"""Code that lies in OSS: what Function Compute asks of the object store beside it."""

from __future__ import annotations

from typing import Protocol


class CodeStore(Protocol):
    """Reads packages by bucket and key, and lends a bucket to upload them to."""

    def read(self, bucket: str, key: str, limit: int) -> bytes:
        """The object; blocks.

        Raises
        ------
        LookupError
            There is none.
        ValueError
            It has more than `limit` bytes.
        """

    def temporary_bucket(self) -> str:
        """The bucket to which deployers upload, made when it is not there yet; blocks for a moment."""
