"""`python -m ops.bench.over_tls MODULE CERTIFICATE KEY`: a function's instance, or any ASGI `app`, that speaks TLS."""

from __future__ import annotations

import datetime
import importlib
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette


def certificate(folder: Path) -> tuple[Path, Path]:
    """A new certificate of loopback's own and its key, as files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def main() -> None:
    """Serve until it is ended."""
    from isikit import logs  # the bench that starts this has no need of the layer on its path
    from isikit.host.server import load, server_config

    module, signed, key = sys.argv[1:]
    app = importlib.import_module(module).app
    if not isinstance(app, Starlette):  # a function: behind the host, which sets its logging up
        logs.setup(module)
        config = server_config(load(module))
    else:
        config = server_config(app)
    config.ssl_certfile, config.ssl_keyfile = signed, key
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
