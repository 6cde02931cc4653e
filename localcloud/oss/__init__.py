"""OSS on this machine: `make_app` serves a `FileStore` to unmodified SDKs."""

from localcloud.oss.app import make_app
from localcloud.oss.store import FileStore

__all__ = ["FileStore", "make_app"]
