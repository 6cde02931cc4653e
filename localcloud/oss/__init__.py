"""OSS on this machine: `make_app` serves a `FileStore` to unmodified SDKs."""

from localcloud.oss.app import STALL_SECONDS, make_app
from localcloud.oss.store import FileStore

__all__ = ["STALL_SECONDS", "FileStore", "make_app"]
