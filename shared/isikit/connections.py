"""HTTP connections that survive a freeze: a session for oss2, and one of requests.

Function Compute freezes an instance between requests, for seconds or hours. Meanwhile the other end closes idle
connections and nobody notices; a call on such a half-open socket hangs until its timeout. So a connection that was
idle for more than `IDLE_SECONDS` of wall time (which goes on during a freeze) is closed and opened anew.

`OssSession` is oss2's own `Session` without requests, whose share of a call's processor time was more than that of
urllib3 below it.

Imports requests and oss2: import this module where the first session is needed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

import certifi
import oss2
import requests
import urllib3
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


_FRESH: Final = {"http": _FreshHTTPPool, "https": _FreshHTTPSPool}


class OssAnswer:
    """An answer as oss2 reads it: `oss2.http.Response` whose body was read already, so its connection is free again.

    `headers` are case-insensitive. `response` is what oss2 closes.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self.response = response
        self.status = response.status
        self.headers = response.headers
        self.request_id = response.headers.get("x-oss-request-id", "")
        self._unread: bytes | None = None

    def read(self, amt: int | None = None) -> bytes:
        """The next `amt` bytes of the body, or the rest of it; empty at its end."""
        rest = self.response.data if self._unread is None else self._unread
        size = len(rest) if amt is None else amt
        self._unread = rest[size:]
        return rest[:size]

    def __iter__(self) -> Iterator[bytes]:
        rest = self.read()
        return iter([rest] if rest else [])


class OssSession:
    """What `oss2.Bucket` takes as its session: kept connections, no redirects, no retries, no proxy.

    Bodies are bytes. They are sent with the request and come as they are sent, never unpacked: whoever uploads an
    object says what its Content-Encoding is, and 300 KB that are "gzip" unpack to 300 MB in our memory.

    Parameters
    ----------
    pool_size
        Connections that are kept per host.
    """

    def __init__(self, pool_size: int) -> None:
        # The authorities that requests trusts: a slim image has none of its own.
        self._pools = urllib3.PoolManager(4, maxsize=pool_size, ca_certs=certifi.where())
        self._pools.pool_classes_by_scheme = _FRESH
        self._no_retries = urllib3.Retry(False, redirect=False)

    def do_request(self, req: oss2.http.Request, timeout: tuple[float, float]) -> OssAnswer:
        """Send a signed request, and read its answer whole.

        Parameters
        ----------
        timeout
            Seconds for connecting, and for each read of the socket.

        Raises
        ------
        oss2.exceptions.RequestError
            No answer, or none that is whole.
        """
        connect_seconds, read_seconds = timeout
        scheme, _, rest = req.url.partition("://")
        host, _, path = rest.partition("/")
        query = "?" + urlencode(req.params) if req.params else ""
        try:
            return OssAnswer(
                self._pools.connection_from_url(f"{scheme}://{host}").urlopen(
                    req.method,
                    f"/{path}{query}",
                    body=req.data or None,
                    headers={name: value for name, value in req.headers.items() if value is not None},
                    retries=self._no_retries,
                    redirect=False,
                    assert_same_host=False,
                    timeout=urllib3.Timeout(connect=connect_seconds, read=read_seconds),
                    decode_content=False,
                )
            )
        except urllib3.exceptions.HTTPError as error:
            raise oss2.exceptions.RequestError(error) from error


class _FreshAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _FRESH

    def build_response(self, req: Any, resp: Any) -> requests.Response:
        response = super().build_response(req, resp)
        # We ask for no encoding; an answer that has one all the same is not unpacked.
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
