"""Takes a picture of every page, at three widths, light and dark: python -m scripts.dev.screenshots [FOLDER]."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import httpx
import typer
from playwright.sync_api import Browser, BrowserContext, FilePayload, sync_playwright

from scripts.dev.chaos.stack import running_stack
from scripts.dev.screenshots.scene import PASSWORD, Scene

_WIDTHS = (390, 768, 1440)
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_HEIGHT = 900
_DRAWN_MS = 5_000  # until the browser has loaded and drawn what is in a frame


class Picture(NamedTuple):
    """What to look at: a name for the file, the role of who looks ("" for nobody), the path.

    And what is pressed there, once a CSV file was chosen if there is one; or a frame in the page that is scrolled to.
    """

    name: str
    role: str
    path: str
    press: str = ""
    file: str = ""
    frame: str = ""


_LEADS = """Lead,Person,Product,Kind,What,Level,When
file-1,person-1,acme-crm,Website Visit,Click,High,2024-05-04T10:00:00Z
file-2,person-2,acme-crm,Website Visit,Click,Loud,2024-05-04T11:00:00Z
"""
"""A file with columns of its own, and with one row that cannot be read."""

IN_ERROR = Picture("in-error", "", "/welcome")
"""Taken while the database is away."""


def pictures(scene: Scene) -> Iterator[Picture]:
    """Every page: empty, typical, crowded, and with a form that is refused."""
    yield Picture("welcome", "", "/welcome")
    yield Picture("password", "", "/password?token=x")
    for role in ("admin", "finance", "sales"):
        yield Picture(f"dashboard-{role}", role, "/dashboard")
    yield Picture("account", "finance", "/account")
    yield Picture("account-without-role", "none", "/account")
    yield Picture("bills", "finance", "/bills")
    yield Picture("bills-pending", "sales", "/bills?state=pending")
    yield Picture("bills-drafts", "finance", "/bills?state=draft")
    yield Picture("bills-empty", "finance", "/bills?number=none")
    yield Picture("bills-partner", "partner", "/bills")
    for state, role, partner in (
        ("draft", "finance", "acme"),
        ("pending", "sales", "globex"),
        ("rejected", "finance", "initech"),
        ("approved", "finance", "hooli"),
        ("issued", "finance", "umbrella"),
        ("paid", "admin", "dar"),
        ("markup", "sales", "markup"),
    ):
        yield Picture(f"bill-{state}", role, f"/bills/{scene.bill_of(partner)['bill_id']}")
    yield Picture("bill-pdf", "finance", f"/bills/{scene.bill_of('umbrella')['bill_id']}", frame="iframe.pdf")
    yield from _records(scene)
    yield from _settings(scene)
    yield from _refused(scene)
    yield Picture("not-there", "finance", "/nothing")
    yield Picture("not-open", "partner", "/dashboard")


def _records(scene: Scene) -> Iterator[Picture]:
    """Partners, people, activity, exceptions, months and what-ifs."""
    acme, person = scene.path_of("partner", "acme"), scene.path_of("customer", "person-1")
    yield Picture("partners", "admin", "/partners")
    yield Picture("partners-empty", "sales", "/partners?q=nobody")
    yield Picture("partner-new", "admin", "/partners/new")
    for name in ("", "/terms", "/products", "/prices", "/usage", "/statement", "/months/2024-04", "/months/2024-05"):
        yield Picture(f"partner{name.replace('/', '-')}", "admin", acme + name)
    yield Picture("partner-long", "finance", scene.path_of("partner", "umbrella"))
    yield Picture("partner-terms-sales", "sales", f"{acme}/terms")
    yield Picture("person-new", "admin", "/people/new")
    yield Picture("own-partner", "partner", "/partner")
    yield Picture("own-partner-list", "partner", "/partner/reconciliation")
    yield Picture("own-partner-returns", "partner", "/partner/returns")
    yield Picture("own-partner-terms", "partner", f"{acme}/terms")
    yield Picture("own-partner-month", "partner", f"{acme}/months/2024-04")
    yield Picture("activity", "finance", "/activity")
    yield Picture("activity-partner", "partner", "/activity")
    yield Picture("lead", "finance", f"/activity/{scene.lead('may')['id']}")
    yield Picture("lead-crowded", "finance", f"/activity/{scene.lead('crowded')['id']}")
    yield Picture("person", "finance", f"{person}?partner=acme&period=2024-05")
    yield Picture("person-crowded", "finance", scene.path_of("customer", "long"))
    yield Picture("import", "admin", "/import")
    yield Picture("import-read", "admin", "/import", "See how it is read", _LEADS)
    batch = scene.client.get("/leads/batches").json()["items"][0]
    yield Picture("import-batch", "admin", f"/import/{batch['batch_id']}")
    yield Picture("search", "sales", "/search?q=o")
    yield Picture("search-empty", "sales", "/search?q=nothing-is-called-so")
    yield Picture("month", "finance", "/month?period=2024-05")
    yield Picture("month-sales", "sales", "/month?period=2024-05")
    yield Picture("run", "finance", f"/runs/{scene.run}")
    yield Picture("what-if", "finance", "/what-if")
    yield Picture("what-if-result", "finance", f"/what-if/{scene.what_if}")
    yield Picture("quarantine", "admin", "/quarantine")
    yield Picture("quarantine-empty", "sales", "/quarantine?state=discarded")
    yield Picture("held", "finance", "/held")
    yield Picture("held-empty", "sales", "/held?rule=none")
    yield Picture("dead-letters", "admin", "/dead-letters")
    yield Picture("dead-tasks", "admin", "/dead-letters/tasks")


def _settings(scene: Scene) -> Iterator[Picture]:
    """Settings, which are for Admins only."""
    nora = scene.client.get("/api/users", params={"email": "none@example.com"}).json()["items"][0]
    for name in ("people", "people?tab=waiting", "keys", "webhooks", "notifications", "seller", "audit"):
        yield Picture(f"settings-{name.replace('?tab=', '-')}", "admin", f"/settings/{name}")
    yield Picture("settings-person", "admin", f"/settings/people/{nora['user_id']}")
    yield Picture("settings-webhook", "admin", f"/settings/webhooks/{scene.webhook['webhook_id']}")


def _refused(scene: Scene) -> Iterator[Picture]:
    """Forms that were sent as nobody should send them: empty."""
    approved = f"/bills/{scene.bill_of('hooli')['bill_id']}"
    yield Picture("welcome-refused", "", "/welcome", "Sign in")
    yield Picture("bill-refused", "finance", approved, "Issue bill")
    yield Picture("bills-refused", "sales", "/bills?state=pending", "Approve the chosen bills")
    yield Picture("partner-new-refused", "admin", "/partners/new", "Create the partner")
    yield Picture("what-if-refused", "finance", "/what-if", "See the difference")


def main(folder: Annotated[Path, typer.Argument(help="where the pictures go")] = Path("screenshots")) -> None:
    """Start a Leadger of its own, fill it, and look at each page."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise typer.BadParameter("There is no Chromium on this machine.")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, running_stack(Path(home)) as stack, sync_playwright() as playwright:
        headers = {"Authorization": f"Bearer {stack.key}"}
        scene = Scene(httpx.Client(base_url=stack.url, headers=headers, timeout=60))
        scene.make()
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        for scheme in _SCHEMES:
            for width in _WIDTHS:
                _take(browser, scene, folder, scheme, width, list(pictures(scene)))
        stack.stop("postgres")
        for scheme in _SCHEMES:
            for width in _WIDTHS:
                _take(browser, scene, folder, scheme, width, [IN_ERROR])
        browser.close()
    typer.echo(f"The pictures are in {folder}.")


def _take(
    browser: Browser, scene: Scene, folder: Path, scheme: Literal["light", "dark"], width: int, wanted: list[Picture]
) -> None:
    contexts: dict[str, BrowserContext] = {}
    for picture in wanted:
        if picture.role not in contexts:
            contexts[picture.role] = _context(browser, scene, picture.role, scheme, width)
        page = contexts[picture.role].new_page()
        page.goto(picture.path)
        if picture.press:
            page.evaluate("document.querySelectorAll('form').forEach(each => { each.noValidate = true })")
            if picture.file:
                file = FilePayload(name="leads.csv", mimeType="text/csv", buffer=picture.file.encode())
                page.locator("input[type=file]").set_input_files(file)
            page.get_by_role("button", name=picture.press).first.click()
            page.wait_for_load_state()
        if picture.frame and page.locator(picture.frame).is_visible():
            page.locator(picture.frame).scroll_into_view_if_needed()
            page.wait_for_timeout(_DRAWN_MS)
        page.screenshot(path=folder / f"{picture.name}-{width}-{scheme}.png", full_page=not picture.frame)
        page.close()
    for context in contexts.values():
        context.close()


def _context(browser: Browser, scene: Scene, role: str, scheme: Literal["light", "dark"], width: int) -> BrowserContext:
    """A browser of its own in which somebody with the role has signed in."""
    context = browser.new_context(
        base_url=str(scene.client.base_url), color_scheme=scheme, viewport={"width": width, "height": _HEIGHT}
    )
    if role:
        page = context.new_page()
        page.goto("/welcome")
        page.get_by_label("E-mail").first.fill(f"{role}@example.com")
        page.get_by_label("Password").first.fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_load_state()
        page.close()
    return context


if __name__ == "__main__":
    typer.run(main)
