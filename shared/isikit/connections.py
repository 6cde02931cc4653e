"""HTTP connections that survive a freeze: a requests session for SDKs that are built on requests.

Function Compute freezes an instance between requests, for seconds or hours. Meanwhile the other end closes idle
connections and nobody notices; a call on such a half-open socket hangs until its timeout. So a connection that was
idle for more than `IDLE_SECONDS` of wall time (which goes on during a freeze) is closed and opened anew.

Imports requests: import this module where the first session is needed.
"""

from __future__ import annotations

import time
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

IDLE_SECONDS: Final = 20.0


def _put_back(connection: Any) -> None:
    if connection is not None:
        connection.isikit_idle_since = time.time()


def _taken(connection: Any) -> None:
    idle_since = getattr(connection, "isikit_idle_since", None)
    if idle_since is not None and abs(time.time() - idle_since) > IDLE_SECONDS:
        connection.close()  # urllib3 opens a closed connection again when it is used


class _FreshHTTPPool(HTTPConnectionPool):
    def _put_conn(self, conn: Any) -> None:
        _put_back(conn)
        super()._put_conn(conn)

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection = super()._get_conn(timeout)
        _taken(connection)
        return connection


class _FreshHTTPSPool(_FreshHTTPPool, HTTPSConnectionPool):
    """The same over TLS."""


class _FreshAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _FreshHTTPPool, "https": _FreshHTTPSPool}

    def build_response(self, req: Any, resp: Any) -> requests.Response:
        response = super().build_response(req, resp)
        # Whoever uploads an object says what its Content-Encoding is, whatever its bytes are: 300 KB that are "gzip"
        # unpack to 300 MB in our memory, and bytes that are none could never be read. We ask for no encoding at all.
        resp.headers.pop("Content-Encoding", None)
        return response


class _Session(requests.Session):
    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        # A redirect would carry the signature and the security token to wherever it points.
        return super().request(*args, **{**kwargs, "allow_redirects": False})


def session(pool_size: int) -> requests.Session:
    """A session with up to `pool_size` kept connections per host, no redirects, no retries, no proxy or netrc.

    Bodies come as they are sent, never unpacked.
    """
    fresh = _Session()
    fresh.headers["Accept-Encoding"] = "identity"
    fresh.trust_env = False
    adapter = _FreshAdapter(pool_connections=4, pool_maxsize=pool_size)
    fresh.mount("http://", adapter)
    fresh.mount("https://", adapter)
    return fresh
