"""A real nginx, with the configuration of `hfchat/deploy/nginx.conf`, in front of the program."""

import datetime
import ipaddress
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.conftest import in_ci, wait_until

CONFIGURATION = Path(__file__).parents[2] / "hfchat" / "deploy" / "nginx.conf"


@dataclass
class Proxy:
    """Where it listens and what it wrote."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """For a client: the certificate that it shows."""
        return ssl.create_default_context(cafile=str(self.folder / "fullchain.pem"))

    @property
    def access_log(self) -> str:
        return (self.folder / "access.log").read_text("utf-8")

    @property
    def error_log(self) -> str:
        return (self.folder / "error.log").read_text("utf-8")


def nginx_program() -> str:
    """Where nginx is. Skips the test where there is none; raises FileNotFoundError for that in CI."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        if in_ci():
            raise FileNotFoundError("nginx is not installed")
        pytest.skip("nginx is not installed (Debian: apt-get install nginx-light)")
    return program


@contextmanager
def nginx(folder: Path, port: int, app_url: str, *, read_timeout_s: int = 300) -> Iterator[Proxy]:
    """The configuration's server, on this port, for this app."""
    program = nginx_program()
    _certificate(folder)
    block = CONFIGURATION.read_text("utf-8")
    for theirs, ours in (
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("/etc/letsencrypt/live/chat.example.org", str(folder)),
        ("http://127.0.0.1:7860", app_url),
        ("proxy_read_timeout 300s", f"proxy_read_timeout {read_timeout_s}s"),
    ):
        assert theirs in block
        block = block.replace(theirs, ours)
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log {folder}/access.log; client_body_temp_path {folder}/body; {temporary}\n{block}}}\n",
        "utf-8",
    )
    process = subprocess.Popen(
        [program, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"], stderr=subprocess.PIPE
    )
    try:
        wait_until(lambda: process.poll() is not None or _listens(port), 10)
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        yield Proxy(port, folder)
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _listens(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def _certificate(folder: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    day = datetime.timedelta(days=1)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "privkey.pem").write_bytes(secret)
