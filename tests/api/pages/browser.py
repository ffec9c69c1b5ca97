"""A browser without a screen: it asks for HTML, keeps cookies, and sends the forms that it finds on a page."""

import html
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
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

    def posted(self) -> list[tuple[str, dict[str, Any]]]:
        """Every form that is posted, as a path and its fields as they stand there."""
        reader = _Fields()
        reader.feed(self.response.text)
        return reader.forms

    def filled(self, action: str, having: str = "") -> dict[str, Any]:
        """Every field of the form at a path, as it stands there; of several forms the one with a field."""
        return next(fields for path, fields in self.posted() if path == action and (not having or having in fields))


class _Fields(HTMLParser):
    """Reads the forms that are posted, each with what a browser would send: lines end with CRLF."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, Any]]] = []
        self.fields: dict[str, Any] = {}
        self.select = self.area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        name, value = has.get("name") or "", re.sub("\r?\n", "\r\n", has.get("value") or "")
        match tag:
            case "form":
                self.fields = {}
                if has.get("method") == "post":
                    self.forms.append((has["action"] or "", self.fields))
            case "input" if has.get("type") != "checkbox":
                self.fields[name] = value
            case "input" if "checked" in has:
                self.fields.setdefault(name, []).append(value)
            case "select":
                self.select = name
            case "option" if "selected" in has or self.select not in self.fields:
                self.fields[self.select] = value
            case "textarea":
                self.area = name
                self.fields[name] = ""

    def handle_data(self, data: str) -> None:
        if self.area:
            self.fields[self.area] += data.replace("\n", "\r\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self.area = ""


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

    async def rows(self, path: str) -> list[str]:
        """What a list leads to, row by row, with the pages that follow."""
        text = (await self.get(path)).response.text
        following = re.search(r'href="([^"]+)" rel="next"', text)
        rows = re.findall(r'class="row" href="([^"]+)"', text)
        return rows + (await self.rows(html.unescape(following[1])) if following else [])
