"""The settings as pages: for Admins only, and a secret is shown once."""

import asyncio
import re
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.pages.settings import people as people_page
from billing.roles import Role
from billing.webhooks.events import Event
from db.core.engine import transaction
from db.mail import outgoing
from db.mail.outgoing import MailKind
from tests.api.office import Office
from tests.api.pages.browser import Browser, Page
from tests.api.pages.conftest import BrowserOf
from tests.api.world import check_problem, get, get_all
from tests.people import new_person

MARKUP = "<script>alert(1)</script>&\"'"
SENT_TWICE = "You sent this twice; it was done once."
PAGES = ("people", "keys", "webhooks", "notifications", "seller", "audit")


async def shown_once(browser: Browser, led: Page) -> str:
    """The secret that a page shows, and never again."""
    page = await browser.follow(led)
    (secret,) = re.findall("<code>([^<]+)</code>", page.response.text)
    assert secret not in (await browser.follow(led)).text
    return str(secret)


async def test_settings_are_for_admins(browser_of: BrowserOf) -> None:
    sam, fay = await browser_of("sam", Role.SALES), await browser_of("fay", Role.FINANCE)
    for browser in (sam, fay):
        token = (await browser.get("/bills")).form("/account/sign-out")
        for page in PAGES:
            assert (await browser.get(f"/settings/{page}")).status == 403, page
            assert (await browser.send(f"/settings/{page}", token)).status in (403, 405), page
        assert (await browser.send("/settings/people/invite", token)).status == 403


async def test_a_key_is_shown_once_rotated_and_revoked(browser_of: BrowserOf, office: Office) -> None:
    ada, path = await browser_of("ada", Role.ADMIN), "/settings/keys"
    form = (await ada.get(path)).filled(path) | {"name": MARKUP}
    for fields, error in (({}, "scopes"), ({"scopes": ["ingest"], "name": ""}, "name"), ({"scopes": "all"}, "scopes")):
        refused = await ada.send(path, form | fields)
        assert (refused.status, f'id="{error}-error"' in refused.response.text) == (400, True), fields
        assert refused.filled(path)["name"] == fields.get("name", MARKUP)
    unknown = await ada.send(path, form | {"scopes": ["ingest"], "partner": "nobody"})
    assert (unknown.status, unknown.filled(path)["partner"]) == (404, "nobody")
    assert unknown.filled(path)["scopes"] == ["ingest"]
    secret = await shown_once(ada, await ada.send(path, form | {"scopes": ["read"]}))
    twice = await ada.follow(await ada.send(path, form | {"scopes": ["read"]}))
    assert (SENT_TWICE in twice.text, secret in twice.text) == (True, False)
    other_form = form | (await ada.get(path)).form("/account/sign-out")
    late = await ada.send(path, other_form | {"scopes": ["read"]})
    assert (late.status, "This key is made already" in late.text) == (409, True)
    page = await ada.get(path)
    assert (MARKUP in page.text, "<script>alert" in page.response.text) == (True, False)
    (key,) = [each for each in (await get(office.client, "/api/keys"))["items"] if each["name"] == MARKUP]
    assert await may_read(office.client, secret)
    mine = f"{path}/{key['key_id']}"
    other = await shown_once(ada, await ada.send(f"{mine}/rotate", page.form(f"{mine}/rotate")))
    assert SENT_TWICE in (await ada.follow(await ada.send(f"{mine}/rotate", page.form(f"{mine}/rotate")))).text
    assert len([each for each in (await get(office.client, "/api/keys"))["items"] if each["name"] == MARKUP]) == 2
    assert await may_read(office.client, other)
    newest = next(
        each["key_id"]
        for each in (await get(office.client, "/api/keys"))["items"]
        if each["name"] == MARKUP and each["key_id"] != key["key_id"]
    )
    end = f"{path}/{newest}/revoke"
    typed = (await ada.get(path)).filled(end)
    wrong = await ada.send(end, typed | {"name": "another"})
    assert (wrong.status, f'id="{newest}-name-error"' in wrong.response.text) == (400, True)
    assert f'href="#{newest}-name"' in wrong.response.text
    assert (wrong.filled(end)["name"], wrong.filled(path)["name"]) == ("another", "")
    assert await may_read(office.client, other)
    assert "The key is revoked." in (await ada.follow(await ada.send(end, typed | {"name": MARKUP}))).text
    assert not await may_read(office.client, other)


async def test_the_secret_of_a_webhook_is_shown_once(browser_of: BrowserOf, office: Office) -> None:
    ada, path = await browser_of("ada", Role.ADMIN), "/settings/webhooks"
    page = await ada.get(path)
    assert "Nobody is told of anything yet." in page.text
    choices = re.findall(r'name="events" value="([^"]+)"> <b>[^<]+</b> <span class="meta">\w', page.response.text)
    assert choices == list(Event), "failed before: an event was told by its name only"
    form = page.filled(path) | {"url": "https://hooks.example.com/x", "events": ["bill.issued"]}
    for fields, error in (({"url": "http://x"}, "url"), ({"events": []}, "events"), ({"events": ["x"]}, "events")):
        refused = await ada.send(path, form | fields)
        assert (refused.status, f'id="{error}-error"' in refused.response.text) == (400, True), fields
        assert refused.filled(path)["url"] == (form | fields)["url"]
    made = await ada.send(path, form)
    secret = await shown_once(ada, made)
    assert secret.startswith("whsec_")
    assert (await ada.send(path, form)).response.headers["location"] == made.response.headers["location"]
    assert len(await get_all(office.client, "/api/webhooks")) == 1
    mine = made.response.headers["location"]
    acts = await ada.follow(made)
    assert await shown_once(ada, await ada.send(f"{mine}/act", acts.form(f"{mine}/act") | {"do": "rotate"})) != secret
    assert (await ada.send(f"{mine}/act", acts.form(f"{mine}/act") | {"do": "dance"})).status == 400
    for do in ("rotate", "test"):
        form = acts.form(f"{mine}/act") | {"do": do}
        at_once = await asyncio.gather(*(ada.send(f"{mine}/act", form) for _ in range(3)))
        assert [each.status for each in at_once] == [303] * 3
    assert len(await get_all(office.client, "/api/audit", what="webhook.rotated")) == 1
    assert len(await get_all(office.client, f"/api{mine.removeprefix('/settings')}/deliveries")) == 1
    tested = await ada.get(mine)
    assert "Waiting" in tested.text
    (again,) = [each for each in tested.forms if each.endswith("/redeliver")]
    assert (await ada.send(again, tested.form(again))).status == 303
    removal = tested.form(f"{mine}/remove") | {"url": "https://hooks.example.com"}
    refused = await ada.send(f"{mine}/remove", removal)
    assert (refused.status, 'id="url-error"' in refused.response.text) == (400, True)
    removed = await ada.send(f"{mine}/remove", removal | {"url": "https://hooks.example.com/x"})
    assert "The webhook is removed." in (await ada.follow(removed)).text
    assert (await ada.get(mine)).status == 404


async def test_a_person_is_invited_given_a_role_and_let_go(
    browser_of: BrowserOf, office: Office, engine: AsyncEngine
) -> None:
    ada, path = await browser_of("ada", Role.ADMIN), "/settings/people"
    await new_person(engine, "nora", None)
    page = await ada.get(path)
    assert "1 person waits for a role." in page.text
    assert page.filled(f"{path}/invite")["role"] == "", "failed before: who chose no role invited an Admin"
    form = page.filled(f"{path}/invite") | {"name": MARKUP, "email": "ida@example.com", "role": "sales"}
    for fields, error in (({"email": "ida"}, "email"), ({"name": ""}, "name"), ({"role": ""}, "role")):
        refused = await ada.send(f"{path}/invite", form | fields)
        assert (refused.status, f'id="invited-{error}-error"' in refused.response.text) == (400, True), fields
        assert f'<a href="#invited-{error}">' in refused.response.text
        assert refused.filled(f"{path}/invite")["email"] == (form | fields)["email"]
    invited = await ada.send(f"{path}/invite", form)
    assert "/password?token=" in await shown_once(ada, invited)
    listed = await ada.get(f"{path}?tab=sales")
    assert (MARKUP in listed.text, "<script>alert" in listed.response.text) == (True, False)
    nora = (await get(office.client, "/api/users", email="nora@example.com"))["items"][0]
    mine = f"{path}/{nora['user_id']}"
    role = (await ada.get(mine)).filled(f"{mine}/role")
    refused = await ada.send(f"{mine}/role", role | {"role": "partner", "partner": "nobody"})
    assert (refused.status, refused.filled(f"{mine}/role")["partner"]) == (404, "nobody")
    assert (await ada.send(f"{mine}/role", role | {"role": "partner", "partner": "acme"})).status == 303
    changed = await ada.get(mine)
    assert "Role Partner Partner acme" in changed.text
    assert "/password?token=" in await shown_once(ada, await ada.send(f"{mine}/reset", changed.filled(f"{mine}/reset")))
    unsure = await ada.send(f"{mine}/active", changed.filled(f"{mine}/active") | {"email": "ida@example.com"})
    assert (unsure.status, "May sign in Yes" in unsure.text) == (400, True)
    for word in ("No", "Yes"):
        form = (await ada.get(mine)).filled(f"{mine}/active") | {"email": "nora@example.com"}
        assert f"May sign in {word}" in (await ada.follow(await ada.send(f"{mine}/active", form))).text


async def test_people_are_sorted_by_name_and_role(
    browser_of: BrowserOf, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_page, "PER_PAGE", 1)
    ada = await browser_of("ada", Role.ADMIN)
    sam, zoe, bob = [
        (await new_person(engine, name, role)).id
        for name, role in (("Sam", Role.SALES), ("zoe", None), ("Bob", Role.SALES))
    ]
    ada_id = UUID((await ada.rows("/settings/people?tab=admin"))[0].rpartition("/")[2])
    for order, wanted in {
        "-created": [bob, zoe, sam, ada_id],
        "created": [ada_id, sam, zoe, bob],
        "name": [ada_id, bob, sam, zoe],
        "-name": [zoe, sam, bob, ada_id],
        "role": [zoe, ada_id, *sorted([sam, bob])],
        "-role": [*sorted([sam, bob], reverse=True), ada_id, zoe],
    }.items():
        found = await ada.rows(f"/settings/people?order={order}")
        assert found == [f"/settings/people/{each}" for each in wanted], order
    text = (await ada.get("/settings/people?tab=sales&order=name")).response.text
    head = '<th scope="col" aria-sort="ascending"><a href="/settings/people?tab=sales&amp;order=-name"'
    assert (head in text, text.count("aria-sort")) == (True, 1)
    assert "/settings/people?tab=finance&amp;order=name" in text
    assert (await ada.get("/settings/people?order=email")).status == 400


async def test_mails_are_listed_and_what_was_given_up_is_sent_again(
    browser_of: BrowserOf, office: Office, engine: AsyncEngine
) -> None:
    ada, path = await browser_of("ada", Role.ADMIN), "/settings/notifications"
    assert "No mail was written yet." in (await ada.get(path)).text
    async with transaction(engine) as connection:
        for address in ("a@x.example", "b@x.example"):
            await outgoing.add(connection, uuid4(), MailKind.NOTICE, None, [address], f"To {MARKUP}", "text")
        await connection.execute(
            "UPDATE mail_recipients SET state = 'given_up', answer = $1 WHERE address = 'b@x.example'", MARKUP
        )
    page = await ada.get(path)
    assert ("a@x.example" in page.text, "b@x.example" in page.text, "SMTP_URL" in page.text) == (True, True, True)
    assert (page.text.count(MARKUP), "<script>alert" in page.response.text, f"{path}/retry" in page.forms) == (
        3,
        False,
        False,
    )
    assert "No mail fits this." in (await ada.get(f"{path}?kind=bill")).text
    given_up = await ada.get(f"{path}?state=given_up")
    assert "a@x.example" not in given_up.text
    nothing = await ada.send(f"{path}/retry", given_up.form(f"{path}/retry"))
    assert (nothing.status, "Choose the mails first." in nothing.text) == (400, True)
    (mail,) = re.findall('name="mail" value="([^"]+)"', given_up.response.text)
    led = await ada.send(f"{path}/retry", given_up.form(f"{path}/retry") | {"mail": mail})
    assert "They are sent again now." in (await ada.follow(led)).text
    assert "No mail fits this." in (await ada.get(f"{path}?state=given_up")).text


async def test_the_seller_is_kept_and_the_audit_tells_of_it(browser_of: BrowserOf, office: Office) -> None:
    ada, path = await browser_of("ada", Role.ADMIN), "/settings/seller"
    form = (await ada.get(path)).filled(path)
    assert form["address"] == "1 High Street\r\nLondon"
    for field, text in (("name", ""), ("small_amount", "little")):
        refused = await ada.send(path, form | {field: text})
        assert (refused.status, refused.filled(path)[field]) == (400, text)
        assert f'id="{field}-error"' in refused.response.text
    assert (await ada.send(path, form | {"name": MARKUP})).status == 303
    assert (await get(office.client, "/api/seller"))["name"] == MARKUP
    lines = await get_all(office.client, "/api/audit", what="seller")
    audit = await ada.get("/settings/audit?what=seller")
    assert audit.text.count("seller.changed") == len(lines)
    assert (MARKUP in audit.text, "<script>alert" in audit.response.text) == (True, False)
    assert "Nothing was changed that fits this." in (await ada.get("/settings/audit?who=nobody")).text


async def test_the_audit_names_what_was_changed_and_leads_to_it(browser_of: BrowserOf, office: Office) -> None:
    """Failed before: of each subject it showed eight digits."""
    ada = await browser_of("ada", Role.ADMIN)
    await office.lead_in("2024-04", "2024-05")
    made = await office.make()
    (action,) = (await get(office.client, "/leads/lead-2024-05"))["actions"]
    assert (await office.client.post(f"/api/actions/{action['action_id']}/hold", json={"reason": "Odd"})).is_success
    acme, anna = await get(office.client, "/api/partners/acme"), await get(office.client, "/api/customers/anna")
    for what, path, name in (
        ("bill.create", f"/bills/{made['bill_id']}", "Acme, April 2024"),
        ("partner.created", f"/partners/{acme['partner_id']}", "Acme"),
        ("customer.created", f"/people/{anna['customer_id']}", "Anna"),
        ("action.held", f"/search?q={action['action_id']}", action["action_id"][:8]),
    ):
        page = await ada.get(f"/settings/audit?what={what}")
        assert f'<a class="cut" href="{path}" dir="auto">{name}</a>' in page.response.text
        assert (await ada.get(path)).status in (200, 303)
    assert (await office.client.post("/api/keys", json={"name": "crm", "scopes": ["ingest"]})).is_success
    assert "key.created crm Show the change" in (await ada.get("/settings/audit?what=key")).text
    assert "seller.changed seller Show" in (await ada.get("/settings/audit?what=seller")).text


async def may_read(client: httpx.AsyncClient, secret: str) -> bool:
    """Whether a key opens anything."""
    answer = await client.get("/api/partners", headers={"Authorization": f"Bearer {secret}"})
    if answer.status_code == 401:
        check_problem(answer, 401)
    return answer.status_code == 200
