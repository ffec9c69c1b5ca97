"""A browser without a screen: it asks for HTML, keeps cookies, and sends the forms that it finds on a page."""

import html
import re
from dataclasses import dataclass, field
from typing import Any

import httpx

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


@dataclass
class Page:
    """What came back, with the forms in it."""

    response: httpx.Response
    forms: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for found in re.finditer(r'<form method="post" action="([^"]+)".*?</form>', self.response.text, re.DOTALL):
            fields = {name: html.unescape(value) for name, value in _HIDDEN.findall(found[0])}
            self.forms.setdefault(found[1], []).append(fields)

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def text(self) -> str:
        """What a person reads: the page without its tags."""
        return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", self.response.text)))

    def form(self, action: str, **fields: str) -> dict[str, str]:
        """The hidden fields of the form at a path that has these."""
        return next(each for each in self.forms[action] if fields.items() <= each.items())


@dataclass
class Browser:
    """Follows no redirect by itself."""

    client: httpx.AsyncClient

    async def get(self, path: str, **more: Any) -> Page:
        return Page(await self.client.get(path, headers=HTML, **more))

    async def send(self, path: str, fields: dict[str, Any]) -> Page:
        return Page(await self.client.post(path, data=fields, headers=HTML))

    async def follow(self, page: Page) -> Page:
        """The page that a form led to."""
        assert page.status == 303, page.text
        return await self.get(page.response.headers["location"])
