"""One active beat at a time: the one that holds a lease in Redis; the others stand by and take over when it ends.

Redis is the place for the lease, because without Redis nobody could send a message anyway. If two are active at once,
say after Redis was emptied, that does no harm: the second message finds nothing to do.
"""

from typing import Any
from uuid import uuid4

import redis
import structlog
from celery.beat import PersistentScheduler

_LEASE = "leadger:beat"
LEASE_MS = 5_000
_STANDBY_S = 2.0
_KEEP = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"

log = structlog.get_logger()


class OneBeat(PersistentScheduler):
    """Celery's scheduler, but silent while another process holds the lease."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._me = uuid4().hex
        self._redis = redis.Redis.from_url(self.app.conf.broker_url, socket_timeout=5, socket_connect_timeout=5)
        self._is_active = False

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; returns the seconds until the next call."""
        active = self._holds_lease()
        if active != self._is_active:
            self._is_active = active
            log.info("beat_active" if active else "beat_standby")
        if not active:
            return _STANDBY_S
        wait_s: float = super().tick(*args, **kwargs)
        return min(wait_s, LEASE_MS / 1000 / 3)  # or the lease would end while nothing is due

    def _holds_lease(self) -> bool:
        try:
            kept = self._redis.eval(_KEEP, 1, _LEASE, self._me, LEASE_MS)
            return bool(kept or self._redis.set(_LEASE, self._me, nx=True, px=LEASE_MS))
        except redis.RedisError as error:
            log.warning("beat_lease_unavailable", error=repr(error))
            return False

    def close(self) -> None:
        """Release the lease, so that the next beat need not wait for its end."""
        if self._is_active and self._redis.get(_LEASE) == self._me.encode():
            self._redis.delete(_LEASE)
        super().close()
