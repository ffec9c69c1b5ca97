"""A month of two partners through HTTP, from their leads to the money: every step that its bills may have to go."""

from typing import cast

from billing.bills.verify import difference_in_file
from billing.roles import Role
from tests.api.office import Office
from tests.api.world import Json, action, get, get_all, lead, make
from tests.api.world import bill as judged

APRIL, MAY = "2024-04", "2024-05"


async def test_a_month_of_two_partners_from_leads_to_money(office: Office) -> None:
    client = office.client
    await make(client, "partners", external_id="globex", name="Globex")
    await make(client, "products", external_id="gadget", partner="globex", name="Gadget")
    first, second = action("Click", at="2024-04-10T00:00:00Z"), action("Demo", at="2024-04-11T00:00:00Z")
    in_may = action("Call", at="2024-05-02T00:00:00Z")
    await judged(
        client,
        office.engine,
        office.policies,
        lead("acme-april", first, second),
        lead("acme-may", in_may),
        lead("globex-april", first, product_id="gadget"),
    )
    fin, sales = await office.person("fin", Role.FINANCE), await office.person("sam", Role.SALES)

    # Rejected with a reason: the month is reopened, the action corrected, and the bill made anew.
    wrong = await made(office, "acme", APRIL, fin)
    assert (wrong["net"], wrong["tax"], wrong["gross"]) == ("20.00", "4.00", "24.00")
    wrong = await office.moved(wrong, "submit", fin)
    wrong = await office.moved(wrong, "reject", sales, reason="The demo was a short one.")
    assert wrong["state"] == "rejected"
    assert (await client.post(f"/api/partners/acme/periods/{APRIL}/reopen", headers=fin)).status_code == 202
    await office.work()
    corrected = {"engagement_level": "Medium", "reason": "The demo was a short one."}
    path = f"/api/actions/{await action_id(office, 'acme-april', 1)}/correct"
    assert (await client.post(path, json=corrected)).is_success
    history = await get_all(client, f"/api/bills/{wrong['bill_id']}/actions")
    assert [(each["move"], each["comment"]) for each in history[-2:]] == [
        ("reject", "The demo was a short one."),
        ("void", "The period was reopened."),
    ]

    bills = {}
    for partner, gross in (("acme", "18.00"), ("globex", "10.00")):
        draft = await made(office, partner, APRIL, fin)
        assert draft["gross"] == gross
        bills[partner] = await issued(office, draft, fin, sales)
        assert (bills[partner]["number"], bills[partner]["open"]) == (f"{partner.upper()}-0001", gross)

    paid: Json = {"external_id": "bank-1", "partner": "acme", "amount": "8.00", "paid_on": "2024-05-20"}
    paid |= {"reference": "ACME-0001", "allocations": [{"bill": "ACME-0001", "amount": "8.00"}]}
    assert (await client.post("/api/payments", json=paid, headers=fin)).status_code == 201
    assert await open_of(office, bills["acme"]) == ("issued", "10.00")

    # What is returned of an issued month is a credit line of the next bill; a note takes off of the bill itself.
    returned = {"actions": [await action_id(office, "acme-april", 2)], "reason": {"reason": "wrong_contact"}}
    answer = await client.post("/api/returns", json=returned, headers=fin)
    assert [each["state"] for each in answer.json()["items"]] == ["returned"]
    note: Json = {"bill": "ACME-0001", "lines": [{"line": 1, "net": "4.00"}], "reason": "Agreed on the phone."}
    draft = (await client.post("/api/credit-notes", json=note, headers=fin)).json()
    credit = await issued(office, draft, fin, sales)
    assert (credit["number"], credit["gross"]) == ("ACME-CN-0001", "4.80")
    assert await open_of(office, bills["acme"]) == ("issued", "5.20")
    may = await issued(office, await made(office, "acme", MAY, fin), fin, sales)
    assert [(line["kind"], line["net"]) for line in may["lines"]] == [("leads", "10.00"), ("credit", "-5.00")]
    assert (may["number"], may["gross"], may["lines"][1]["corrects"]["number"]) == ("ACME-0002", "6.00", "ACME-0001")

    statement = await get(client, "/api/partners/acme/statement")
    assert [(each["kind"], each["amount"], each["balance"]) for each in statement["entries"]] == [
        ("bill", "18.00", "18.00"),
        ("payment", "-8.00", "10.00"),
        ("credit_note", "-4.80", "5.20"),
        ("bill", "6.00", "11.20"),
    ]
    assert (statement["opening"], statement["closing"]) == ("0.00", "11.20")
    assert (await get(client, "/api/partners/globex/statement"))["closing"] == "10.00"
    ages = await get_all(client, "/api/ageing")
    assert {each["partner"]: each["open"] for each in ages} == {"acme": "11.20", "globex": "10.00"}
    await office.work()
    for document in (*bills.values(), credit, may):
        file = await client.get(f"/api/bills/{document['bill_id']}/files/json")
        assert difference_in_file(file.content) is None
        replayed = await client.post(f"/api/bills/{document['bill_id']}/replay")
        await office.work()
        assert (await get(client, replayed.json()["status_url"]))["result"]["difference"] is None


async def made(office: Office, partner: str, period: str, who: dict[str, str]) -> Json:
    """The draft of a partner's month."""
    asked = {"partner": partner, "period": period}
    started = await office.client.post("/api/bills", json=asked, headers=who)
    assert started.status_code == 202, started.text
    await office.work()
    found, *_ = (await get(office.client, "/api/bills", **asked))["items"]
    return await get(office.client, f"/api/bills/{found['bill_id']}")


async def issued(office: Office, draft: Json, fin: dict[str, str], sales: dict[str, str]) -> Json:
    """A draft, approved by somebody else and issued."""
    pending = await office.moved(draft, "submit", fin)
    return await office.moved(await office.moved(pending, "approve", sales), "issue", fin)


async def open_of(office: Office, bill: Json) -> tuple[str, str]:
    """What a bill shows, and what is open of it."""
    found = await get(office.client, f"/api/bills/{bill['bill_id']}")
    return found["state"], found["open"]


async def action_id(office: Office, lead_id: str, position: int) -> str:
    found = await get(office.client, f"/leads/{lead_id}")
    return cast(str, found["actions"][position]["action_id"])
