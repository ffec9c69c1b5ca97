"""The page about webhooks is true: its receiver takes what Leadger sends, once, and nothing else."""

import asyncio
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

from billing.webhooks.destinations import networks_from_text
from billing.webhooks.events import Event
from billing.webhooks.schedule import RETRIES
from db.outgoing.sending import client, post, signed_headers
from db.outgoing.webhooks import secret_from_seed
from scripts.local.embedded.ports import free_port

PAGE = (Path(__file__).parent.parent / "docs/webhooks.md").read_text()


async def test_the_receiver_of_the_page_works() -> None:
    block = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert block
    secret, port = secret_from_seed(b"seed", ""), free_port()
    env = os.environ | {"WEBHOOK_SECRET": secret, "PORT": str(port)}
    with subprocess.Popen(  # noqa: ASYNC220 - it listens beside the test
        [sys.executable, "-c", block[1]], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env
    ) as receiver:
        try:
            body = '{"type":"bill.paid","data":{"number":"ACME-0001"}}'
            headers = signed_headers(uuid4(), body, ["whsec_b3RoZXI=", secret])
            url, own = f"http://127.0.0.1:{port}", networks_from_text("127.0.0.0/8")
            async with client() as sender:
                deadline = time.monotonic() + 20
                while (first := await post(sender, url, body, headers, own)).status is None:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.05)
                again, forged = [await post(sender, url, sent, headers, own) for sent in (body, body.replace("1", "2"))]
        finally:
            receiver.terminate()
        assert receiver.stdout is not None
        assert receiver.stdout.read() == "bill.paid {'number': 'ACME-0001'}\n"
    assert [first.status, again.status, forged.status] == [204, 204, 401]


def test_the_page_names_every_event_and_the_schedule() -> None:
    assert re.findall(r"^\| `([a-z.]+)` \|", PAGE, re.MULTILINE) == list(Event)
    seconds = {"second": 1, "minute": 60, "hour": 3600}
    named = re.findall(r"(\d+) (second|minute|hour)s", PAGE.split("\n> ")[1].split("\n")[0])
    assert [int(count) * seconds[unit] for count, unit in named] == [wait.total_seconds() for wait in RETRIES]
