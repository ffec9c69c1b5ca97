"""Callers who are slow or silent, send too much, or wait for a lock: leads of the others go on meanwhile.

Each has its count and its end, and each harm is still there when the lead is sent that has to be decided.
"""

import asyncio
import gzip
import itertools
import resource
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx

from scripts.dev.chaos import trees
from scripts.dev.chaos.scene import Scene

_SOON_S = 15.0
"""Within that a lead is decided beside all of this; without limits it would wait until the harm ends, or for ever."""

_SLOW_SENDERS = 40
_ANNOUNCED_BYTES = 15 * 1024 * 1024
_SENT_BYTES = 256 * 1024
_SLOW_READERS = 8
_DOWNLOADED_LEADS = 8000
_LEADS_A_REQUEST = 500
_LAST_CHUNK = b"0\r\n\r\n"
_GIVEN_UP_S = 60.0
"""A body or download that stands still is given up after 30 s; twice that on a busy machine."""

_CROWDED = 8
_UNPACKED_BYTES = 16_000_000
_ITEMS = (b"{},", b"[],", b"1,")
_MOST_MEMORY_MB = 500

_SILENT = 1000
_OTHER_FILES = 512

_WAITERS = 8
_UNKNOWN_TO_OTHERS = 1000
"""A customer with this number or a higher one is in no lead of the load."""


def slow_senders(scene: Scene) -> None:
    """Forty connections send part of a large body and stop, until the API gives them up."""
    head = (
        f"POST /leads HTTP/1.1\r\nHost: leadger\r\nAuthorization: Bearer {_key(scene, 'slow senders')}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {_ANNOUNCED_BYTES}\r\n\r\n["
    )
    with scene.load():
        for _ in range(scene.times):
            with _harm(scene), ExitStack() as open_ones:
                senders = [open_ones.enter_context(_connected(scene)) for _ in range(_SLOW_SENDERS)]
                for each in senders:
                    each.sendall(head.encode())
                    _send_what_goes(each, b" " * _SENT_BYTES)
                _go_on(scene)
                deadline = time.monotonic() + _GIVEN_UP_S
                statuses = [_end_of(each, deadline, b"}")[9:12] for each in senders]
                _go_on(scene)
                given_up = sum(status in (b"408", b"429") for status in statuses)
                scene.expect(given_up == _SLOW_SENDERS, f"{given_up} of {_SLOW_SENDERS} were given up: {statuses}")


def slow_readers(scene: Scene) -> None:
    """Eight clients stop reading a download: the same download ends for others, and theirs is cut."""
    partner = scene.world.partners[0]
    for _ in range(0, _DOWNLOADED_LEADS, _LEADS_A_REQUEST):
        scene.sender.post(scene.world.leads(_LEADS_A_REQUEST, partners=[partner], months=[4], fresh=True))
    scene.drain()
    reports = scene.client.pages("/billing/reports", partner=partner.name)
    report_id = next(report["report_id"] for report in reports if report["period"] == "2024-04")
    path = f"/billing/reports/{report_id}?format=csv"
    ask = f"GET {path} HTTP/1.1\r\nHost: leadger\r\nAuthorization: Bearer {_key(scene, 'slow readers')}\r\n\r\n"
    with scene.load():
        for _ in range(scene.times):
            with _harm(scene), ExitStack() as open_ones:
                readers = [open_ones.enter_context(_connected(scene, kept_bytes=4096)) for _ in range(_SLOW_READERS)]
                for each in readers:
                    each.sendall(ask.encode())
                    scene.expect(each.recv(12) == b"HTTP/1.1 200", "a download was refused")
                _go_on(scene)
                began = time.monotonic()
                size = len(scene.client.send("GET", path).content)
                scene.notes.append(f"a download of {size:,} bytes beside them took {time.monotonic() - began:.1f} s")
                # Only waiting shows that they are cut: the first byte that is taken would let a download go on.
                time.sleep(max(0.0, began + _GIVEN_UP_S - time.monotonic()))
                ends = [_end_of(each, time.monotonic() + _GIVEN_UP_S, _LAST_CHUNK) for each in readers]
                complete = sum(end.endswith(_LAST_CHUNK) for end in ends)
                scene.expect(complete == 0, f"{complete} of {_SLOW_READERS} downloads were not cut")
                _go_on(scene)


def crowded_bodies(scene: Scene) -> None:
    """Eight bodies at once, each some kilobytes that unpack to millions of tiny items: refused, and not remembered."""
    bodies = [_crowded_body(item) for item in _ITEMS]
    headers = {"Authorization": f"Bearer {_key(scene, 'crowded bodies')}", "Content-Encoding": "gzip"}
    headers["Content-Type"] = "application/json"

    def send(number: int) -> int:
        content = bodies[number % len(bodies)]
        url = f"{scene.place.url}/leads"
        return httpx.post(url, content=content, headers=headers, timeout=_GIVEN_UP_S, trust_env=False).status_code

    with scene.load(), ThreadPoolExecutor(_CROWDED) as pool:
        before_mb = _memory_mb()
        for _ in range(scene.times):
            with _harm(scene):
                sent = [pool.submit(send, number) for number in range(3 * _CROWDED)]
                _go_on(scene)
                statuses = Counter(each.result() for each in sent)
                scene.notes.append(f"answers by status: {dict(statuses)}")
                scene.expect(statuses.keys() <= {413, 429}, f"crowded bodies were answered {dict(statuses)}")
        more_mb = _memory_mb() - before_mb
        scene.notes.append(f"the API took {more_mb:,} MB more at most")
        scene.expect(more_mb < _MOST_MEMORY_MB, f"crowded bodies took {more_mb:,} MB of the API")


def silent_connections(scene: Scene) -> None:
    """A thousand connections that say nothing, or half a line."""
    with scene.load(), _files(_SILENT + _OTHER_FILES):
        for _ in range(scene.times):
            with _harm(scene), ExitStack() as open_ones:
                for number in range(_SILENT):
                    connection = open_ones.enter_context(_connected(scene))
                    if number % 2:
                        connection.sendall(b"POST /leads HTT")
                _go_on(scene)


def lock_waiters(scene: Scene) -> None:
    """Eight holds and releases wait for a customer whom a session has locked, and are told to come again."""
    reason = {"reason": "chaos"}
    headers = {"Authorization": f"Bearer {scene.place.key}"}

    def change(path: str) -> tuple[int, float]:
        began = time.monotonic()
        url = f"{scene.place.url}{path}"
        answer = httpx.post(url, json=reason, headers=headers, timeout=_GIVEN_UP_S, trust_env=False)
        return answer.status_code, time.monotonic() - began

    with scene.load(), ThreadPoolExecutor(_WAITERS) as pool:
        for number in range(scene.times):
            lead = scene.world.leads(1, customer=_UNKNOWN_TO_OTHERS + number, fresh=True)
            scene.sender.wait_until_done(scene.sender.post(lead))
            known = scene.client.get(f"/leads/{lead[0]['lead_id']}")
            action = f"/api/actions/{known['actions'][0]['action_id']}"
            verbs = itertools.islice(itertools.cycle(("hold", "release")), _WAITERS)
            with _harm(scene), _locked(scene, lead[0]["customer_id"]):
                waiting = [pool.submit(change, f"{action}/{verb}") for verb in verbs]
                _go_on(scene)
                answers = [each.result() for each in waiting]
            # None of them may have changed anything, for the oracle knows of none.
            statuses = sorted(status for status, _ in answers)
            scene.expect(set(statuses) <= {409, 503}, f"who waited for a lock was answered {statuses}")
            scene.notes.append(f"who waited longest was answered after {max(took for _, took in answers):.1f} s")


def _go_on(scene: Scene) -> None:
    """A lead that is sent while the harm is there is decided soon."""
    took_s = scene.recover()
    scene.expect(took_s < _SOON_S, f"a lead was decided after {took_s:.1f} s only")


@contextmanager
def _harm(scene: Scene) -> Iterator[None]:
    """No lead of the load is answered 5xx during the block."""
    before = _errors_5xx(scene)
    yield
    more = _errors_5xx(scene) - before
    scene.expect(more == 0, f"{more} requests of others were answered 5xx")


def _errors_5xx(scene: Scene) -> int:
    return sum(count for kind, count in dict(scene.sender.answers).items() if kind.startswith("5"))


def _key(scene: Scene, name: str) -> str:
    """A key of its own, because a key's own limits are not to refuse the load."""
    body = {"name": f"{scene.world.name} {name}", "scopes": ["ingest", "read"]}
    return str(scene.client.post("/api/keys", body)["key"])


def _connected(scene: Scene, *, kept_bytes: int = 0) -> socket.socket:
    """A connection to the API; the kernel keeps `kept_bytes` of what is not read, or as much as it likes."""
    parts = urlsplit(scene.place.url)
    connection = socket.socket()
    try:
        if kept_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kept_bytes)
        connection.settimeout(10)
        connection.connect((parts.hostname, parts.port))
    except BaseException:
        connection.close()
        raise
    return connection


def _send_what_goes(connection: socket.socket, content: bytes) -> None:
    """Send as much as is taken at once, or nothing if it was refused already."""
    connection.setblocking(False)
    with suppress(OSError):
        connection.send(content)


def _end_of(connection: socket.socket, deadline: float, last: bytes) -> bytes:
    """What still comes until `last`, until the API closes the connection, or until the deadline."""
    taken = bytearray()
    while (left_s := deadline - time.monotonic()) > 0:
        connection.settimeout(left_s)
        try:
            block = connection.recv(1 << 16)
        except OSError:
            break
        if not block:
            break
        taken += block
        if taken.endswith(last):
            break
    return bytes(taken)


def _crowded_body(item: bytes) -> bytes:
    content = b"[" + item * (_UNPACKED_BYTES // len(item)) + item.rstrip(b",") + b"]"
    return gzip.compress(content)


def _memory_mb() -> int:
    """The most memory that the API's processes have had, summed."""
    peaks_kb = []
    for pid in trees.wait_for("api").all:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        peaks_kb += [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return sum(peaks_kb) // 1024


@contextmanager
def _files(count: int) -> Iterator[None]:
    """Let this process have so many files open during the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def _locked(scene: Scene, customer: str) -> Iterator[None]:
    """A session that has the customer locked until the block ends."""
    with asyncio.Runner() as runner:
        connection: asyncpg.Connection = runner.run(asyncpg.connect(scene.place.database_url))
        transaction = connection.transaction()
        runner.run(transaction.start())
        try:
            rows = runner.run(connection.fetch(_LOCK, customer))
            scene.expect(len(rows) == 1, f"{len(rows)} customers were locked, so nothing was shown")
            yield
        finally:
            runner.run(transaction.rollback())
            runner.run(connection.close())


_LOCK = """
    SELECT FROM customer_states JOIN customers ON customers.id = customer_id
    WHERE customers.external_id = $1 FOR UPDATE OF customer_states
"""
