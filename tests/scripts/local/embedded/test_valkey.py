from pathlib import Path

import pytest
import redis

from scripts.local.embedded import valkey
from scripts.local.embedded.valkey import prepare_valkey
from scripts.local.processes.process import Process
from tests.scripts.processes import wait_until


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url)


def test_it_asks_for_its_password_listens_on_127_0_0_1_only_and_keeps_its_data(tmp_path: Path) -> None:
    folder = tmp_path / 'a "strange" \\ folder'
    with valkey(folder) as url, _client(url) as client:
        assert client.incr("starts") == 1
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
        password = url.partition("://:")[2].partition("@")[0]
        with _client(url.replace(password, "x")) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
    assert (folder / "valkey.conf").stat().st_mode & 0o777 == 0o600
    with valkey(folder) as url, _client(url) as client:
        assert client.incr("starts") == 2


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    server = prepare_valkey(tmp_path)
    process = Process(server.command)
    wait_until(server.is_ready, "valkey is ready")
    with _client(server.url) as client:
        for number in range(1_000):
            client.rpush("list", number)
    process.kill()
    process.wait()
    assert not server.is_ready()
    with valkey(tmp_path) as url, _client(url) as client:
        assert client.llen("list") == 1_000
