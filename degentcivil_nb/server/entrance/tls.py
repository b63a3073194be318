"""TLS for this machine and for tests: a new certificate authority, and contexts that trust only it."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")


class LocalTls(NamedTuple):
    """TLS contexts for `ssl=` of server and client, and the authority as PEM text."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    authority: str

    def write_authority(self, path: str | Path) -> Path:
        """Write the authority's certificate (not a secret) to a file for other programs' `cafile`."""
        path = Path(path)
        path.write_text(self.authority, encoding="ascii")
        return path


def local_tls(names: Sequence[str] = LOCAL_NAMES) -> LocalTls:
    """Create an authority and a certificate for `names`; the key is never written to a permanent file.

    `ImportError` states what to install when the extra `tls` is missing.
    """
    try:
        import trustme  # an extra, imported only where it is used
    except ImportError as error:
        raise ImportError("tls=True needs trustme; install it with: pip install 'degentcivil-nb[tls]'") from error
    authority = trustme.CA(organization_name="degentcivil_nb, this machine only")
    pem = authority.cert_pem.bytes().decode("ascii")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(server)
    return LocalTls(server, client_tls(pem), pem)


def client_tls(authority: str | Path) -> ssl.SSLContext:
    """Create a client's context that trusts one authority only, given as PEM text or as a file."""
    text = authority.read_text(encoding="ascii") if isinstance(authority, Path) else authority
    return ssl.create_default_context(cadata=text)
