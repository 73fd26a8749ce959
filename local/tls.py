"""Certificates of the local servers: Azure's SDKs refuse to send a token over plain http."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import certifi
import trustme

_HOSTS = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Tls:
    """Paths of the PEM files: `ca_bundle` is for clients, `cert` and `key` are for servers."""

    ca_bundle: Path
    cert: Path
    key: Path


def ensure(directory: Path) -> Tls:
    """Make the certificate authority and the server's certificate, unless they are there already.

    Idempotency: all or nothing. The bundle is written last and tells that the others are complete;
    two processes starting at once agree, because the first to rename its folder wins.
    """
    tls = Tls(directory / "ca-bundle.pem", directory / "cert.pem", directory / "key.pem")
    if tls.ca_bundle.exists():
        return tls
    directory.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f"{directory.name}-", dir=directory.parent))
    _write(made)
    try:
        made.rename(directory)
    except OSError:
        if not tls.ca_bundle.exists():
            raise
        for file in made.iterdir():
            file.unlink()
        made.rmdir()
    return tls


def _write(directory: Path) -> None:
    authority = trustme.CA(organization_name="finetune-functions local")
    server = authority.issue_cert(*_HOSTS)
    (directory / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in server.cert_chain_pems))
    key = os.open(directory / "key.pem", os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(key, "wb") as file:
        file.write(server.private_key_pem.bytes())
    # Clients replace their roots by this file, so it also has to hold the real ones.
    roots = Path(certifi.where()).read_bytes()
    (directory / "ca-bundle.pem").write_bytes(roots + b"\n" + authority.cert_pem.bytes())
