"""An identity provider of the tests' own: keys of every kind, tokens signed with them, and a server that can misbehave."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

KINDS = {
    "RS256": "rsa",
    "RS384": "rsa",
    "RS512": "rsa",
    "PS256": "rsa",
    "PS384": "rsa",
    "PS512": "rsa",
    "ES256": "p256",
    "ES384": "p384",
    "EdDSA": "ed25519",
}


def private_key(kind: str, number: int = 0) -> Any:
    """A private key of this kind; the same one for the same number."""
    return _made(kind, number)


@cache
def _made(kind: str, _: int) -> Any:
    makers: dict[str, Callable[[], Any]] = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "rsa1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
        "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ed448": ed448.Ed448PrivateKey.generate,
    }
    return makers[kind]()


def public_pem(kind: str, number: int = 0) -> str:
    public = private_key(kind, number).public_key()
    return str(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def jwk(kind: str, number: int = 0, *, private: bool = False, **members: Any) -> dict[str, Any]:
    """The key as a JSON Web Key."""
    key = private_key(kind, number)
    writer: Any = RSAAlgorithm if kind.startswith("rsa") else OKPAlgorithm if kind.startswith("ed") else ECAlgorithm
    written = writer.to_jwk(key if private else key.public_key(), as_dict=True)
    written.pop("key_ops", None)
    return {**written, **members}


def signed(alg: str, claims: dict[str, Any], *, kind: str = "", number: int = 0, **header: Any) -> str:
    """A token signed with the key of this algorithm's kind."""
    return jwt.encode(claims, private_key(kind or KINDS[alg], number), algorithm=alg, headers=header or None)


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def http(status: int = 200, body: bytes = b"", **headers: str) -> Answer:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status} Any", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return answer


def key_set(*keys: object) -> Answer:
    """A key set as it should be."""
    return http(200, json.dumps({"keys": keys}).encode(), Content_Type="application/json")


class Provider:
    """A loopback server that answers with `answer`, or at a path of `at` with that; it counts who asks, and bytes sent."""

    def __init__(self, answer: Answer, ssl: Any = None) -> None:
        self.answer = answer
        self.at: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.sent = 0
        self.over = asyncio.Event()
        self._ssl = ssl

    async def __aenter__(self) -> "Provider":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._ssl)
        self.port = int(self._server.sockets[0].getsockname()[1])
        self.url = f"http{'s' if self._ssl else ''}://127.0.0.1:{self.port}/jwks.json"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.over.set()
        await self.gone()

    async def gone(self) -> None:
        """Stop listening."""
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            await self.at.get(path, self.answer)(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def redirect(self, place: str, status: int = 302) -> Answer:
        return http(status, b"elsewhere", Location=place)

    async def hang(self, _: asyncio.StreamWriter) -> None:
        await self.over.wait()

    async def drip(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        await self._drip(writer, b" ")

    async def drip_head(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        await self._drip(writer, b"a")

    async def _drip(self, writer: asyncio.StreamWriter, piece: bytes) -> None:
        while not self.over.is_set():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.005)

    async def flood(self, writer: asyncio.StreamWriter) -> None:
        """100 MB, as fast as they are read."""
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(1600):
            writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
            await writer.drain()
            self.sent += 65536
