"""Whom TLS trusts: certifi's list, which comes with the layer. The system's may be missing in a runtime's image.

`SSL_CERT_FILE` names another file in its place, as it does for OpenSSL itself.
"""

from __future__ import annotations

import os
import ssl
import threading
from pathlib import Path
from typing import Final

_SDK_BUNDLE: Final = "WEBSOCKET_CLIENT_CA_BUNDLE"

_lock = threading.Lock()
_contexts: dict[str, ssl.SSLContext] = {}


def bundle() -> str:
    """Path of the file with the authorities."""
    import certifi

    return os.environ.get("SSL_CERT_FILE") or certifi.where()


def tls_context() -> ssl.SSLContext:
    """The process's one context, which verifies certificates and names: reading the list takes 66 ms of CPU."""
    with _lock:
        path = bundle()
        if path not in _contexts:
            _contexts[path] = ssl.create_default_context(cafile=path)
        return _contexts[path]


def lend_to_sdk() -> None:
    """Make the speech SDK's WebSocket verify by our list where the system has none.

    It reads the system's, and with none there every connection would fail as if the service were down.
    """
    system = (
        ssl.get_default_verify_paths()
    )  # honours SSL_CERT_FILE and SSL_CERT_DIR, and has None for what is not there
    has_directory = system.capath is not None and any(Path(system.capath).iterdir())
    if system.cafile is None and not has_directory:
        os.environ.setdefault(_SDK_BUNDLE, bundle())
