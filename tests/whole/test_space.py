"""As a Hugging Face Space: HTTPS by its own name, in a frame of huggingface.co, in a browser that blocks foreign cookies."""

import datetime
import http.client
import json
import re
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
from tests.support.browser import BOX, TURN, chromium, open_invite_link
from tests.support.deploying import deploying
from tests.support.hub_sign_in import OWNERS_TOKEN, StubRouter, hub_settings
from tests.support.openid_provider import ORGANISATION, OpenIdProvider, openid_provider
from tests.support.stub_hub import StubHub, whoami
from tests.support.stub_upstream import DONE, Answer, StubUpstream, event, usage_event

HOST = "somebody-chat.hf.space"
HUB_HOST = "somebody-hub.hf.space"
HUB = "huggingface.co"
ROOT = Path(__file__).parents[2]


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
        body = f'<!doctype html><title>Space</title><iframe width=900 height=700 src="https://{self.path[1:] or HOST}/">'.encode()
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


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    with openid_provider() as found:
        yield found


@pytest.fixture(scope="module")
def hub_space(
    certificate: Path, provider: OpenIdProvider, shared_stub: StubUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    """A Space that was deployed: it has what stands in `.env`, and what the Hub sets."""
    folder = tmp_path_factory.mktemp("deployed")
    lines = (f"HUGGINGFACE_API_TOKEN={OWNERS_TOKEN}", "HFCHAT_STORE=memory://", "HFCHAT_MEMBERS=acme")
    limits = ("HF_CHAT_MAX_TOKENS=100", "HFCHAT_BUDGET=400/day")
    (folder / ".env").write_text("\n".join((f"JWT_SECRET={KEY}", *lines, *limits)))
    with StubHub() as hub:
        hub.account = whoami(plan="pro")
        process = deploying(ROOT, folder, hub.url, OWNERS_TOKEN, "somebody/hub")
        process.start()
        process.join(60)
        assert process.exitcode == 0
        variables = hub.environment("somebody/hub")
    provider.client_secret = variables["OAUTH_CLIENT_SECRET"]
    settings = hub_settings(provider, **{"HFCHAT_SIGN_IN": "", "HFCHAT_PUBLIC_URL": "", **variables})
    with running(settings, StubRouter(shared_stub), ssl_certfile=str(certificate)) as app:
        yield app


def space_settings(**variables: str) -> Settings:
    return make_settings(SPACE_ID="somebody/chat", SPACE_HOST=HOST, **variables)


@pytest.fixture(scope="module")
def space(certificate: Path) -> Iterator[RunningApp]:
    with running(space_settings(), ssl_certfile=str(certificate)) as app:
        yield app


@pytest.fixture(scope="module")
def browser(space: RunningApp, hub_space: RunningApp, hub_port: int) -> Iterator[Browser]:
    ports = {HOST: space.port, HUB_HOST: hub_space.port, HUB: hub_port}
    hosts = ", ".join(f"MAP {host} 127.0.0.1:{port}" for host, port in ports.items())
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


def call(app: RunningApp, token: str) -> int:
    """The status of a chat call with this token."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", app.port, context=context, timeout=60)
    body = json.dumps({"messages": [{"role": "user", "content": "hello"}]})
    connection.request("POST", "/api/ai/chat", body, {"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_a_member_signs_in_with_hugging_face_runs_out_and_goes_on(
    browser: Browser, hub_space: RunningApp, provider: OpenIdProvider, stub: StubUpstream
) -> None:
    provider.click = True
    provider.person["orgs"] = [ORGANISATION]
    stub.answer = lambda _: Answer(pieces=[event("so be it", finish_reason="stop"), usage_event(320, 10), DONE])
    context = browser.new_context(ignore_https_errors=True, locale="en-GB")
    outer = context.new_page()
    outer.goto(f"https://{HUB}/{HUB_HOST}")
    with context.expect_page() as opened:
        outer.frame_locator("iframe").get_by_role("link", name="Sign in with Hugging Face").click()
    page = opened.value
    page.get_by_role("link", name="Authorize").click()
    low = page.locator("#hfchat-low")
    expect(page.locator(".hfchat-menu summary strong")).to_have_text("alice")
    expect(low).to_contain_text("Whoever runs this chat pays")
    assert page.url == f"https://{HUB_HOST}/"
    frame = outer.frame_locator("iframe")
    frame.get_by_role("link", name="go on here").click()
    expect(frame.locator(".hfchat-menu summary strong")).to_have_text("alice")

    page.fill(BOX, "one")
    page.keyboard.press("Enter")
    expect(page.locator(".message.bot")).to_contain_text("so be it")
    expect(page.locator(TURN)).to_be_enabled()
    page.fill(BOX, "two")
    page.keyboard.press("Enter")
    page.locator("button.hfchat-do-own_credit").click()
    dialog = page.locator("dialog")
    expect(dialog).to_contain_text("Hugging Face charges your own account")
    dialog.get_by_role("button", name="Go on on your own credit").click()
    expect(page.locator("#hfchat-conversation")).not_to_contain_text("Too few tokens")
    expect(page.get_by_text("so be it")).to_have_count(2)
    expect(low).to_contain_text("You pay: your own Hugging Face credit")
    paid_with = [headers["authorization"].removeprefix("Bearer ") for headers in stub.headers]
    assert paid_with == [OWNERS_TOKEN, provider.tokens[0]]

    page.click(".hfchat-menu summary")
    expect(page.locator(".hfchat-menu").get_by_role("link", name="See your credit")).to_be_visible()
    page.click("[data-do=program]")
    expect(dialog).to_contain_text("It ends when you sign out here")
    token = dialog.locator("pre").last.inner_text()
    assert call(hub_space, token) == 200
    page.keyboard.press("Escape")
    page.click(".hfchat-menu summary")
    page.click("[data-do=owner_credit]")
    expect(low).to_contain_text("Whoever runs this chat pays")
    page.locator(".hfchat-menu").get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name=re.compile("^Keep")).click()
    expect(page.get_by_role("link", name="Sign in with Hugging Face")).to_be_visible()
    assert call(hub_space, token) == 401
    outer.reload()
    expect(frame.get_by_role("link", name="Sign in with Hugging Face")).to_be_visible()
    context.close()
