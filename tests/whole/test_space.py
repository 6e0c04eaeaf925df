"""As a Hugging Face Space: HTTPS by its own name, in a frame of huggingface.co, in a browser that blocks foreign cookies."""

import datetime
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.sync_api import Browser, expect

from hfchat.config.settings import Settings
from tests.conftest import KEY, RunningApp, make_settings, make_token, running
from tests.support.browser import BOX, chromium, open_invite_link

HOST = "somebody-chat.hf.space"
HUB = "huggingface.co"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now, now.replace(year=now.year + 1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST), x509.DNSName(HUB)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


class Frame(BaseHTTPRequestHandler):
    """What huggingface.co shows around a Space."""

    def do_GET(self) -> None:
        body = (
            f'<!doctype html><title>Space</title><iframe width=900 height=700 src="https://{HOST}{self.path}">'.encode()
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def hub_port(certificate: Path) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Frame) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def space_settings(**variables: str) -> Settings:
    return make_settings(SPACE_ID="somebody/chat", SPACE_HOST=HOST, **variables)


@pytest.fixture(scope="module")
def space(certificate: Path) -> Iterator[RunningApp]:
    with running(space_settings(), ssl_certfile=str(certificate)) as app:
        yield app


@pytest.fixture(scope="module")
def browser(space: RunningApp, hub_port: int) -> Iterator[Browser]:
    hosts = f"MAP {HOST} 127.0.0.1:{space.port}, MAP {HUB} 127.0.0.1:{hub_port}"
    with chromium(f"--host-resolver-rules={hosts}", "--test-third-party-cookie-phaseout", whole=True) as found:
        yield found


def test_settings_of_a_space_listen_to_its_proxy() -> None:
    settings = space_settings()
    assert (settings.gradio_server_name, settings.gradio_server_port) == ("0.0.0.0", 7860)
    assert settings.public_url == f"https://{HOST}"
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.get_secret_value() == KEY


def test_a_person_signs_in_and_chats_inside_the_frame(browser: Browser) -> None:
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(request.url.split("/")[2]))
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"https://{HUB}/")
    frame = page.frame_locator("iframe")
    frame.locator("input[name=token]").fill(make_token("ana"))
    frame.locator("button").click()
    frame.locator(BOX).fill("hello from a frame")
    frame.locator(BOX).press("Enter")
    expect(frame.locator(".message.bot")).to_contain_text("hello from a frame")
    frame.locator(".hfchat-menu summary").click()
    frame.get_by_role("button", name="Sign out").click()
    expect(frame.locator("input[name=token]")).to_be_visible()
    assert asked == {HOST, HUB}
    assert errors == []
    context.close()


def test_an_invite_link_opens_the_page_in_a_window_of_its_own(browser: Browser) -> None:
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    open_invite_link(page, f"https://{HOST}/login?token={make_token('ana')}")
    expect(page.locator(".hfchat-menu summary strong")).to_have_text("ana")
    assert page.url == f"https://{HOST}/"
    context.close()
