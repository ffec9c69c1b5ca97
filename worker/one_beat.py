"""One beat at a time: of several, whoever holds a lease in Redis rings; the others stand by and take over when it ends.

Redis is the place for the lease, because without Redis nobody could ring anyway. Should two ring at once, say after
Redis was emptied, that does no harm: whoever answers the second ring finds nothing to do.
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
        self._rings = False

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Ring for what is due; returns the seconds until it wants to be asked again."""
        rings = self._holds_lease()
        if rings != self._rings:
            self._rings = rings
            log.info("beat_rings" if rings else "beat_stands_by")
        if not rings:
            return _STANDBY_S
        wait_s: float = super().tick(*args, **kwargs)
        return min(wait_s, LEASE_MS / 1000 / 3)  # or the lease would end while nothing is due

    def _holds_lease(self) -> bool:
        try:
            kept = self._redis.eval(_KEEP, 1, _LEASE, self._me, LEASE_MS)
            return bool(kept or self._redis.set(_LEASE, self._me, nx=True, px=LEASE_MS))
        except redis.RedisError as error:
            log.warning("beat_cannot_ask", error=repr(error))
            return False

    def close(self) -> None:
        """Give the lease back, so that the next one need not wait for its end."""
        if self._rings and self._redis.get(_LEASE) == self._me.encode():
            self._redis.delete(_LEASE)
        super().close()
