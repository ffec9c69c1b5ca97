"""Servers as people have them: PgBouncer before Postgres, another encoding, Redis behind TLS."""

import asyncio
import datetime
import os
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import redis
from celery import Celery
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from db.core.engine import create_engine, transaction
from db.core.errors import DATABASE_UNAVAILABLE, UnusableDatabase
from db.core.migrate import upgrade
from db.core.pooler import require_own_session
from db.core.settings import Settings
from db.tasks.notifications import broker_configuration
from scripts.local.embedded.ports import free_port

_TAKEN = {
    "client_encoding",
    "datestyle",
    "timezone",
    "standard_conforming_strings",
    "application_name",
    "user",
    "database",
}
"""What PgBouncer lets a client say when it connects, if its ini file has no line about it."""


@asynccontextmanager
async def _pgbouncer(database_url: str) -> AsyncIterator[str]:
    """Something that refuses what PgBouncer refuses, and passes on the rest; its URL."""
    parts = urlsplit(database_url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            (length,) = struct.unpack("!I", await reader.readexactly(4))
            message = await reader.readexactly(length - 4)
            if message[:4] != struct.pack("!I", 80877103):
                break
            writer.write(b"N")  # no TLS here
        words = message[4:].rstrip(b"\0").split(b"\0")
        if unknown := {word.decode().lower() for word in words[::2]} - _TAKEN:
            text = f"SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter: {min(unknown)}\0\0".encode()
            writer.write(b"E" + struct.pack("!I", len(text) + 4) + text)
            writer.close()
            return
        server_reader, server_writer = await asyncio.open_connection(parts.hostname, parts.port)
        server_writer.write(struct.pack("!I", length) + message)
        await asyncio.gather(_pass_on(reader, server_writer), _pass_on(server_reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}"))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while block := await reader.read(65536):
        writer.write(block)
    writer.close()


async def test_pgbouncer_in_session_mode_needs_no_line_about_us(database_url: str, redis_url: str) -> None:
    """Case 50."""
    async with _pgbouncer(database_url) as url:
        settings = Settings(database_url=url, redis_url=redis_url)
        engine = create_engine(settings, "leadger-test", for_batches=True)
        async with transaction(engine) as connection:
            names = ("application_name", "timezone", "lock_timeout", "enable_seqscan", "plan_cache_mode")
            shown = {name: await connection.fetchval(f"SHOW {name}") for name in names}
        await engine.dispose()
    assert list(shown.values()) == ["leadger-test", "UTC", "30s", "off", "force_custom_plan"]


@contextmanager
def _real_pgbouncer(database_url: str, mode: str) -> Iterator[str]:
    """PgBouncer itself, which is no part of our setup (`apt-get install pgbouncer`)."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is not installed")
    parts, port = urlsplit(database_url), free_port()
    with tempfile.TemporaryDirectory(prefix="leadger-pgbouncer-") as folder:
        file = Path(folder) / "pgbouncer.ini"
        file.write_text(
            f"[databases]\n* = host={parts.hostname} port={parts.port} "
            f"user={parts.username} password={parts.password}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = any\npool_mode = {mode}\n"
        )
        as_nobody = ("-u", "nobody") if os.geteuid() == 0 else ()
        process = subprocess.Popen([program, "-q", *as_nobody, str(file)])
        try:
            deadline = time.monotonic() + 10
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert time.monotonic() < deadline
                    assert process.poll() is None
                    time.sleep(0.02)
            yield urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}"))
        finally:
            process.terminate()
            process.wait()


_TRANSACTION_MODE = (
    "DATABASE_URL leads to a pooler in transaction mode, where locks and settings of one connection become another's: "
    "set pool_mode = session in PgBouncer, or give the URL of Postgres itself"
)


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
async def test_pgbouncer_itself_is_refused_unless_it_is_in_session_mode(
    database_url: str, redis_url: str, mode: str
) -> None:
    with _real_pgbouncer(database_url, mode) as url:
        engine = create_engine(Settings(database_url=url, redis_url=redis_url), "leadger-test", for_batches=True)
        if mode == "session":
            async with transaction(engine) as one, transaction(engine) as other:
                assert await one.fetchval("SHOW lock_timeout") == await other.fetchval("SHOW lock_timeout") == "30s"
            await asyncio.to_thread(upgrade, url)
        else:
            with pytest.raises(DATABASE_UNAVAILABLE, match=_TRANSACTION_MODE):
                async with transaction(engine):
                    pytest.fail("it was used")
            with pytest.raises(UnusableDatabase) as refusal:
                await asyncio.to_thread(upgrade, url)
            assert str(refusal.value) == _TRANSACTION_MODE
        await engine.dispose()


class _Pooled(asyncpg.Connection):
    """A connection through a pooler, which names a process of its own when it answers for the server."""

    def get_server_pid(self) -> int:
        return 0


async def test_a_pooler_that_gives_one_session_to_two_connections_is_refused(database_url: str) -> None:
    first = await asyncpg.connect(database_url, connection_class=_Pooled)

    async def open_another() -> asyncpg.Connection:
        return await asyncpg.connect(database_url, connection_class=_Pooled)

    async def open_the_same() -> asyncpg.Connection:
        return first

    await require_own_session(first, open_another)
    with pytest.raises(UnusableDatabase, match=_TRANSACTION_MODE):
        await require_own_session(first, open_the_same)
    assert first.is_closed()


async def test_without_a_pooler_no_second_connection_is_opened(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)

    async def open_another() -> asyncpg.Connection:
        raise AssertionError

    await require_own_session(connection, open_another)
    await connection.close()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_a_database_that_cannot_hold_every_name_is_refused_before_anything_is_in_it(
    server_url: str, redis_url: str, encoding: str
) -> None:
    """Case 51."""
    name = f"encoded_{encoding.lower()}"
    owner = await asyncpg.connect(server_url)
    await owner.execute(
        f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    )
    url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    message = (
        f"The database is encoded in {encoding}, which cannot hold every name: make one with "
        "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
    )
    with pytest.raises(UnusableDatabase) as refusal:
        await asyncio.to_thread(upgrade, url)
    assert str(refusal.value) == message
    engine = create_engine(Settings(database_url=url, redis_url=redis_url))
    with pytest.raises(DATABASE_UNAVAILABLE, match=message):
        async with transaction(engine):
            pytest.fail("it was used")
    await engine.dispose()
    direct = await asyncpg.connect(url)
    assert await direct.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    await direct.close()
    await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await owner.close()


def _certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody knows, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "redis.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


async def _answer_everything(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A Redis that says OK to every command."""
    while line := await reader.readline():
        if line.startswith(b"*"):
            words = []
            for _ in range(int(line[1:])):
                size = int((await reader.readline())[1:])
                words.append(await reader.readexactly(size + 2))
            writer.write(b"%1\r\n$5\r\nproto\r\n:3\r\n" if words[0] == b"HELLO\r\n" else b"+OK\r\n")
    writer.close()


def _ping(url: str) -> None:
    with redis.Redis.from_url(url, socket_timeout=2) as client:
        client.ping()


def _ping_as_celery(url: str) -> None:
    settings = Settings(database_url="postgresql://unused", redis_url=url)
    with Celery("test", set_as_current=False) as app:
        app.conf.update(broker_configuration(settings))
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1)


@pytest.mark.parametrize("ping", [_ping, _ping_as_celery])
async def test_redis_behind_tls_must_prove_who_it_is(tmp_path: Path, ping: Callable[[str], None]) -> None:
    """Case 56, for every library that speaks to Redis."""
    file = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    async with await asyncio.start_server(_answer_everything, "127.0.0.1", 0, ssl=context) as server:
        url = f"rediss://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        pasted = Settings(database_url="postgresql://unused", redis_url=url).redis_url
        with pytest.raises(Exception, match="certificate verify failed"):
            await asyncio.to_thread(ping, pasted)
        trusted = Settings(database_url="postgresql://unused", redis_url=f"{url}?ssl_ca_certs={file}").redis_url
        await asyncio.to_thread(ping, trusted)
