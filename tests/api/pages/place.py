"""A real browser before the real stack, with people who can sign in."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, expect

from tests.browser import browser
from tests.people import PASSWORD
from tests.stack import Stack

_PATIENCE_MS = 30_000


@dataclass
class Place:
    """Where the stack is, a client with a key for everything, and the browser; `bills` by month are a test's own."""

    url: str
    client: httpx.Client
    chromium: Browser
    bills: dict[str, str] = field(default_factory=dict)

    def page(self, name: str = "", **options: Any) -> Page:
        """A page of a browser of its own, on which somebody has signed in, by the form."""
        page = self.chromium.new_context(base_url=self.url, **options).new_page()
        page.set_default_timeout(_PATIENCE_MS)
        if name:
            page.goto("/welcome")
            sign_in(page, name)
            page.wait_for_url(lambda url: "/welcome" not in url)
        return page

    def person(self, name: str, **role: str) -> None:
        """Somebody with a role, and with a partner where the role needs one."""
        user = ask(self.client, "POST", "/api/users", name=name.title(), email=f"{name}@example.com", password=PASSWORD)
        ask(self.client, "PATCH", f"/api/users/{user['user_id']}", **role)

    def state(self, bill_id: str) -> str:
        """Where a bill stands."""
        state: str = self.client.get(f"/api/bills/{bill_id}").json()["state"]
        return state


@contextmanager
def opened(stack: Stack, **roles: str) -> Iterator[Place]:
    """The place with people of these roles, by their names, which nobody else on the stack has."""
    expect.set_options(timeout=_PATIENCE_MS)
    headers = {"Authorization": f"Bearer {stack.key}"}
    with httpx.Client(base_url=stack.url, headers=headers, timeout=30) as client, browser() as chromium:
        place = Place(stack.url, client, chromium)
        for name, role in roles.items():
            place.person(name, role=role)
        yield place


def sign_in(page: Page, name: str) -> None:
    """Fill the form and send it."""
    page.get_by_label("E-mail").first.fill(f"{name}@example.com")
    page.get_by_label("Password").first.fill(PASSWORD)
    page.get_by_role("button", name="Sign in").first.click()


def ask(client: httpx.Client, method: str, path: str, **body: Any) -> Any:
    """What the API answers, which must be a success."""
    answer = client.request(method, path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


def wait(client: httpx.Client, url: str) -> None:
    """Wait until a batch or task is done."""
    deadline = time.monotonic() + 30
    while client.get(url).json()["state"] != "done":
        assert time.monotonic() < deadline, client.get(url).text
        time.sleep(0.05)
