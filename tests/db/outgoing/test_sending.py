"""Sending a message: to a checked address and nowhere else, for so long and no longer, signed as it is verified."""

import base64
import hmac
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks.webhooks import Webhook

from billing.webhooks.destinations import networks_from_text
from db.outgoing import sending
from db.outgoing.deliveries import Attempt
from db.outgoing.sending import Resolve, client, lookup, post, signed_headers
from tests.receiver import receiving

LOOPBACK = networks_from_text("127.0.0.0/8")


def resolving(*answers: Sequence[str]) -> Resolve:
    """Names that lead to one list of addresses after the other; the last one stays."""
    left = list(answers)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


async def sent(url: str, *, own: str = "127.0.0.0/8", resolve: Resolve = lookup, body: str = "{}") -> Attempt:
    async with client() as sender:
        return await post(sender, url, body, {"webhook-id": "1"}, networks_from_text(own), resolve)


async def test_a_message_arrives_and_the_first_bytes_of_the_answer_are_kept() -> None:
    async with receiving() as receiver:
        receiver.answer = b"HTTP/1.1 202 Taken\r\nContent-Length: 3000\r\n\r\n\0\xff" + b"x" * 2998
        attempt = await sent(f"{receiver.url}?key=1", body='{"type":"x"}')
    assert (attempt.status, attempt.error, attempt.is_delivered) == (202, None, True)
    assert attempt.answer == "\ufffd\ufffd" + "x" * 498
    (received,) = receiver.received
    assert received.line == "POST /hook?key=1 HTTP/1.1"
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == "1"
    assert received.body == '{"type":"x"}'


@pytest.mark.parametrize(
    ("addresses", "why"),
    [
        (["127.0.0.1"], "leads to 127.0.0.1"),
        (["93.184.216.34", "127.0.0.1"], "leads to 127.0.0.1"),
        (["::ffff:127.0.0.1"], "leads to ::ffff:7f00:1"),
        (["169.254.169.254"], "leads to 169.254.169.254"),
        ([], "has no address"),
    ],
)
async def test_a_name_that_leads_inside_is_never_connected_to(addresses: list[str], why: str) -> None:
    async with receiving() as receiver:
        attempt = await sent(f"https://name.example:{receiver.port}", own="", resolve=resolving(addresses))
    assert why in str(attempt.error)
    assert (attempt.status, receiver.connections) == (None, 0)


async def test_a_url_is_checked_again_when_it_is_used() -> None:
    async with receiving() as receiver:
        for own in ("", "10.0.0.0/8"):  # as it was allowed once
            attempt = await sent(receiver.url, own=own)
            assert attempt.error is not None
            assert attempt.error.startswith("The URL ")
    assert receiver.connections == 0


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """The name has another address a moment later; looked up twice, the message would go there."""
    async with receiving() as checked, receiving() as other:
        resolve = resolving(["127.0.0.1"], ["127.0.0.2"])
        attempt = await sent(f"http://name.example:{checked.port}/x", resolve=resolve)
        assert attempt.is_delivered
        (received,) = checked.received
        assert received.headers["host"] == f"name.example:{checked.port}"
    assert other.connections == 0


async def test_another_address_of_the_name_is_tried_where_one_does_not_listen() -> None:
    async with receiving() as receiver:
        url = f"http://name.example:{receiver.port}/x"
        assert (await sent(url, resolve=resolving(["127.0.0.9", "127.0.0.1"]))).is_delivered
        attempt = await sent(url, resolve=resolving(["127.0.0.9", "127.0.0.8"]))
        assert "connection" in str(attempt.error)
    assert receiver.connections == 1


async def test_a_redirect_is_not_followed() -> None:
    async with receiving() as receiver, receiving() as inside:
        receiver.answer = f"HTTP/1.1 307 Go\r\nLocation: {inside.url}\r\nContent-Length: 0\r\n\r\n".encode()
        attempt = await sent(receiver.url)
    assert (attempt.status, attempt.is_delivered) == (307, False)
    assert attempt.error == "It answers with a redirect, which is not followed."
    assert inside.connections == 0


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver, receiving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await sent(receiver.url)).is_delivered
    assert proxy.connections == 0


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_who_does_not_answer_or_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_S", 0.2)
    async with receiving() as receiver:
        receiver.answer, receiver.linger_s = answer, 5
        attempt = await sent(receiver.url)
    assert attempt.error == "No answer within 0.2 s."
    assert not attempt.is_delivered
    assert attempt.duration_ms < 1500


async def test_what_is_no_http_and_who_is_not_there_are_errors() -> None:
    async with receiving() as receiver:
        receiver.answer = b"SSH-2.0-x\r\n\r\n"
        assert str((await sent(receiver.url)).error).startswith("The connection failed: ")
    assert str((await sent(receiver.url)).error).startswith("The connection failed: ")
    assert str((await sent("https://name.invalid", own="")).error).startswith("The host cannot be looked up: ")


def test_a_message_is_signed_as_standard_webhooks_say() -> None:
    key = b"k" * 32
    secrets = [f"whsec_{base64.b64encode(each).decode()}" for each in (key, b"old" * 8)]
    message_id, body = uuid4(), '{"type":"bill.paid","data":{"name":"Zoë"}}'
    headers = signed_headers(message_id, body, secrets)
    for secret in secrets:
        Webhook(secret).verify(body, headers)
    signed = f"{message_id}.{headers['webhook-timestamp']}.{body}".encode()
    expected = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    assert headers["webhook-signature"].split(" ")[0] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 5
    assert set(signed_headers(message_id, body, [])) == {"webhook-id", "webhook-timestamp"}


def _certificate(folder: Path, host: str) -> Path:
    """A certificate of a host that signs itself, with its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host), x509.IPAddress(ip_address("127.0.0.2"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{host}.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(made.public_bytes(pem) + private)
    return file


async def test_the_certificate_is_that_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _certificate(tmp_path, "name.example")
    names: list[str] = []
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(file)
    tls.sni_callback = lambda _, name, __: names.append(name)
    resolve = resolving(["127.0.0.1"])
    async with receiving(tls) as receiver:
        refused = await sent(f"https://name.example:{receiver.port}", resolve=resolve)
        assert "certificate verify failed" in str(refused.error)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert (await sent(f"https://name.example:{receiver.port}", resolve=resolve)).is_delivered
        other = await sent(f"https://other.example:{receiver.port}", resolve=resolve)
        assert "certificate verify failed" in str(other.error)
    assert names == ["name.example", "name.example", "other.example"]
    assert len(receiver.received) == 1


async def test_hosts_at_one_address_share_no_connection() -> None:
    """A kept connection would be found again by its address, whatever host it was verified for."""
    async with receiving() as receiver, client() as sender:
        receiver.keeps_open = True
        for host in ("one.example", "two.example"):
            url = f"http://{host}:{receiver.port}"
            assert (await post(sender, url, "{}", {}, LOOPBACK, resolving(["127.0.0.1"]))).is_delivered
        assert receiver.connections == 2
