"""Certificates for tests."""

from pathlib import Path

from local import tls

_BEGIN = "-----BEGIN CERTIFICATE-----"


def own_certificates(folder: Path) -> tls.Tls:
    """Make certificates whose bundle holds the own authority alone.

    Nobody here talks to the world, and OpenSSL reads its roots for every new connection, which takes a tenth of a
    second of CPU: more than all the rest of a request.
    """
    made = tls.ensure(folder)
    made.ca_bundle.write_text(_BEGIN + made.ca_bundle.read_text("utf-8").rpartition(_BEGIN)[2], "utf-8")
    return made
