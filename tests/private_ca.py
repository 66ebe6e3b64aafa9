"""A certificate authority as an organisation has its own, made by openssl in a test's folder."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

EXTENSIONS = """\
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateCA:
    """certificate: to be trusted, a file. server: what a server of the names speaks TLS with."""

    certificate: Path
    server: ssl.SSLContext


def private_ca(folder: Path, *names: str) -> PrivateCA:
    """A new authority, and a server certificate of it for these names (`DNS:…`, `IP:…`)."""

    def openssl(*arguments: str) -> None:
        command = ["openssl", *arguments]
        subprocess.run(command, cwd=folder, capture_output=True, check=True)

    (folder / "x.cnf").write_text(
        "[req]\ndistinguished_name = name\n[name]\n" + EXTENSIONS.format(names=",".join(names))
    )
    config = ("-config", "x.cnf")
    openssl(
        "req", "-x509", *KEY, *config, "-extensions", "authority", "-days", "2",
        "-subj", "/CN=Acme CA", "-keyout", "ca.key", "-out", "ca.pem",
    )  # fmt: skip
    openssl("req", *KEY, *config, "-subj", "/CN=Acme", "-keyout", "key.pem", "-out", "csr.pem")
    openssl(
        "x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
        "-days", "2", "-extfile", "x.cnf", "-extensions", "server", "-out", "server.pem",
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "key.pem")
    return PrivateCA(certificate=folder / "ca.pem", server=context)
