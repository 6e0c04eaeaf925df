"""How each program is started that is measured, and the stub: as its makers say, on one core, in a folder of its own."""

import os
import secrets
import shutil
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from hfchat.auth.own_tokens import issue_token
from hfchat.auth.policy import PolicyClaim
from hfchat.limits import parse_limit
from tests.bench.processes import LOADING, MEASURED, ROOT, Program, free_port
from tests.bench.replies import TYPICAL, Shape

MAX_TOKENS = 20_000
RATE, BUDGET, STREAMS = "1000000000/day", "1000000000000/day", 5_000


@dataclass(frozen=True)
class Stub:
    """The running stub, and where it is."""

    program: Program
    port: int
    tls_port: int
    certificate: Path

    def base_url(self, *, secure: bool) -> str:
        """Its address as a chat completions server."""
        return f"https://127.0.0.1:{self.tls_port}/v1" if secure else f"http://127.0.0.1:{self.port}/v1"


class Kind(Protocol):
    """A kind of program; `alive` is a path that answers 200 once it can serve."""

    alive: str

    def start(self, folder: Path, port: int, stub: Stub, *, secure: bool) -> Program:
        """Start one that listens on this port; with `secure` it speaks TLS with the stub."""


@dataclass
class Hfchat:
    """`python app.py`, and its tokens: gate, policy, and a ledger on SQLite."""

    shapes: tuple[Shape, ...]
    key: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    alive: str = "/healthz"

    def start(self, folder: Path, port: int, stub: Stub, *, secure: bool) -> Program:
        (folder / ".env").touch()  # found before the one that may be beside app.py
        models = [shape.model for shape in self.shapes]
        variables = {
            "JWT_SECRET": self.key,
            "HFCHAT_STORE": f"sqlite:///{folder}/ledger.db",
            "HFCHAT_RATE": RATE,
            "HFCHAT_BUDGET": BUDGET,
            "HFCHAT_STREAMS": str(STREAMS),
            "HF_CHAT_BASE_URL": stub.base_url(secure=secure),
            "HF_CHAT_MODEL": models[0],
            "HF_CHAT_MODELS": ",".join(models),
            "HF_CHAT_MAX_TOKENS": str(MAX_TOKENS),
            "HF_CHAT_DEFAULT_TOKENS": str(MAX_TOKENS),  # the callers name no length
            "GRADIO_SERVER_PORT": str(port),
            "SSL_CERT_FILE": str(stub.certificate),
        }
        return Program([sys.executable, str(ROOT / "app.py")], MEASURED, folder, variables)

    def bearers(self, many: int, shapes: tuple[Shape, ...] = ()) -> tuple[str, ...]:
        """Tokens of different people, each with limits of every kind inside; the first model is what the page uses."""
        models = tuple(shape.model for shape in shapes or self.shapes)
        policy = PolicyClaim(models, parse_limit(RATE), parse_limit(BUDGET), STREAMS, MAX_TOKENS)
        people = (f"person-{secrets.token_hex(6)}" for _ in range(many))
        return tuple(issue_token(self.key, person, ttl_s=86_400, policy=policy) for person in people)


@dataclass
class LiteLlm:
    """LiteLLM's proxy by its command: one worker, a master key, no database."""

    command: str
    shapes: tuple[Shape, ...]
    key: str = field(default_factory=lambda: "sk-" + secrets.token_urlsafe(32))
    alive: str = "/health/liveliness"

    def start(self, folder: Path, port: int, stub: Stub, *, secure: bool) -> Program:
        models = [
            f"  - model_name: {shape.model}\n    litellm_params:\n      model: openai/{shape.model}\n"
            f"      api_base: {stub.base_url(secure=secure)}\n      api_key: sk-none\n"
            for shape in self.shapes
        ]
        config = folder / "config.yaml"
        config.write_text(
            f"model_list:\n{''.join(models)}general_settings:\n  master_key: {self.key}\nlitellm_settings:\n  telemetry: false\n"
        )
        options = {"--config": str(config), "--host": "127.0.0.1", "--port": str(port), "--num_workers": "1"}
        variables = {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
            "SSL_CERT_FILE": str(stub.certificate),
        }
        command = [self.command, *(word for option in options.items() for word in option)]
        return Program(command, MEASURED, folder, variables)


@dataclass
class Nginx:
    """nginx as a plain reverse proxy, by its command: what a second process on the way costs at least."""

    command: str
    alive: str = "/counted"

    def start(self, folder: Path, port: int, stub: Stub, *, secure: bool) -> Program:
        temporary = " ".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = folder / "nginx.conf"
        config.write_text(
            f"""daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 100000000; client_body_buffer_size 1m; {temporary}
  upstream stub {{ server 127.0.0.1:{stub.port}; keepalive 2000; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://stub; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""
        )
        return Program([self.command, "-c", str(config), "-p", str(folder)], MEASURED, folder, {})


@dataclass
class Bare:
    """A `gr.ChatInterface` as Gradio's guide has it, on the hub's client."""

    alive: str = "/"

    def start(self, folder: Path, port: int, stub: Stub, *, secure: bool) -> Program:
        command = [sys.executable, "-m", "tests.bench.bare", str(port), stub.base_url(secure=secure), TYPICAL.model]
        return Program(command, MEASURED, folder, {"PYTHONPATH": str(ROOT)})


def start_stub(folder: Path) -> Stub:
    """Start the stub; whoever does ends its program."""
    certificate = folder / "certificate.pem"
    certificate.write_bytes(_certificate())
    port, tls_port = free_port(), free_port()
    command = [sys.executable, "-m", "tests.bench.stub", str(port), str(tls_port), str(certificate)]
    return Stub(Program(command, LOADING, folder, {"PYTHONPATH": str(ROOT)}), port, tls_port, certificate)


def installed(*names: str | None) -> str:
    """The first of these commands that is there, or an empty text."""
    return next((found for name in names if name and (found := shutil.which(name))), "")


def litellm_command(named: str | None) -> str:
    """LiteLLM's proxy: as named here or in the environment, or on PATH; or an empty text."""
    return installed(named or os.environ.get("HFCHAT_BENCH_LITELLM") or "litellm")


def _certificate() -> bytes:
    """A key, and a certificate for loopback that it signs itself, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hfchat bench")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret + certificate.public_bytes(Encoding.PEM)
