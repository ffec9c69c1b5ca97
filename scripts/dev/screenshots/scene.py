"""What the pictures show: people of every role, and partners with bills at every stage."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx

Json = dict[str, Any]

PASSWORD = "four words of no meaning"  # noqa: S105 - of people who exist only in pictures
PEOPLE = {
    "admin": ("Ada Admin", None),
    "finance": ("Fay Finance", None),
    "customer_success": ("Chris Success", None),
    "sales": ("Sam Sales", None),
    "partner": ("Pat Partner", "acme"),
    "none": ("Nora New", None),
}
"""Name and partner of a person, by role."""
LONG = ("Vereinigte Donaudampfschifffahrtsgesellschaft " * 5)[:200].strip()
"""As long as a name may be."""
ARABIC = "دار الحكمة للنشر والتوزيع"
PARTNERS = (
    ("acme", "Acme", "EUR", "Europe/Berlin"),
    ("globex", "Globex", "EUR", "UTC"),
    ("initech", "Initech Insurance Services", "USD", "America/New_York"),
    ("hooli", "Hooli", "EUR", "UTC"),
    ("umbrella", LONG, "CHF", "Asia/Tokyo"),
    ("dar", ARABIC, "EUR", "UTC"),
    ("markup", "<script>alert(1)</script> & Sons", "EUR", "UTC"),
)
_CROWD = 60
_TAXED = {"category": "S", "rate": "20.00", "note": None}


@dataclass
class Scene:
    """A running Leadger, told by a key for everything."""

    client: httpx.Client
    what_if: str = ""
    run: str = ""
    webhook: Json = field(default_factory=dict)

    def make(self) -> None:
        """Fill an installation that is empty."""
        self._people()
        self._put(
            "/api/seller", name="Leadger Ltd", address="1 High Street\nLondon", tax_id="GB123", small_amount="50.00"
        )
        for external_id, name, currency, timezone in PARTNERS:
            self._post("/api/partners", external_id=external_id, name=name, currency=currency, timezone=timezone)
            for product in ("crm", "cloud"):
                self._post(
                    "/api/products", external_id=f"{external_id}-{product}", partner=external_id, name=product.upper()
                )
            self._patch(
                f"/api/partners/{external_id}",
                tax=_TAXED,
                address="2 Low Street\nBerlin",
                monthly_api_limit=1000 if external_id in ("globex", "umbrella") else 2000,
                overage_unit_cost="0.125",
                payment_days=14,
                effective_period="2024-03",
            )
        for number in range(12):
            self._post(
                "/api/customers",
                external_id=f"person-{number}",
                name=f"Person {number}",
                email=f"p{number}@example.com",
            )
        self._crowd()
        self._give_roles()
        leads = list(self._leads())
        started = self.client.post("/leads", json=leads)
        started.raise_for_status()
        self._wait(started.json()["status_url"])
        for at, (external_id, *_) in enumerate(PARTNERS):
            self._bill(external_id, "2024-03", 5)
            self._bill(external_id, "2024-04", at)
        self._exceptions()
        self._post("/api/keys", name="crm", scopes=["ingest"])
        self.webhook = self._post("/api/webhooks", url="https://hooks.example.com/leadger", events=["bill.issued"])
        supposed = {
            "partners": ["acme"],
            "from": "2024-03",
            "to": "2024-04",
            "rates": [{"partner": "acme", "amount": "2.00"}],
        }
        self.what_if = self._post("/api/what-if", **supposed)["task_id"]
        month = {"period": "2024-05", "dry_run": True}
        self.run = self._post("/api/billing-scheduler/process-monthly-billing", **month)["run_id"]

    def sign_in(self, role: str) -> httpx.Client:
        """A browser in which somebody with a role has signed in."""
        browser = httpx.Client(base_url=self.client.base_url, timeout=60)
        answer = browser.post("/api/session", json={"email": f"{role}@example.com", "password": PASSWORD})
        answer.raise_for_status()
        browser.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
        return browser

    def bill_of(self, partner: str, period: str = "2024-04") -> Json:
        """The live bill of a month."""
        found = self.client.get("/api/bills", params={"partner": partner, "period": period, "kind": "bill"}).json()
        bill: Json = found["items"][0]
        return bill

    def path_of(self, kind: str, key: str) -> str:
        """The page of a partner or of a customer by their own id."""
        found = self.client.get(f"/api/{kind}s/{key}").json()
        return f"/{'people' if kind == 'customer' else 'partners'}/{found[f'{kind}_id']}"

    def lead(self, lead_id: str) -> Json:
        """A lead with its actions."""
        found: Json = self.client.get(f"/leads/{lead_id}").json()
        return found

    def _crowd(self) -> None:
        """More partners than a page shows, and one with the longest names and amounts of twelve digits."""
        for number in range(_CROWD):
            self._post("/api/partners", external_id=f"studio-{number:02}", name=f"Studio {number:02}", currency="EUR")
        self._post("/api/customers", external_id="long", name=LONG, email=f"{'long.' * 12}name@example.com")
        self._post("/api/customers", external_id="arabic", name="ليلى منصور", email="layla@example.com")
        rate = {"partner": "umbrella", "engagement_level": "High", "amount": "999999.99"}
        self._post("/api/rate-cards", **rate, effective_from="2024-03")
        self._patch("/api/partners/umbrella", cap=None, effective_period="2024-03")
        for text, amount in ((LONG, "999999999.99"), (ARABIC, "999999999.99"), ("Loyalty", "-1234567.89")):
            adjustment = {"text": text, "amount": amount, "reason": f"Agreed by mail, as {LONG} asked for."}
            self._post("/api/adjustments", partner="umbrella", period="2024-04", **adjustment)

    def _exceptions(self) -> None:
        """Leads in quarantine, and an open month of acme with actions on hold and others above the cap."""
        unknown = [
            _lead(f"q-{number}", product, "2024-05-02")
            for number, product in enumerate(("acme-next", "<b>acme</b>-next", "x" * 190, "acme-next"))
        ]
        large = _lead("may", "acme-crm", "2024-05-03")
        large["actions"] = [large["actions"][0] | {"action_type": f"Fair {number}"} for number in range(14)]
        crowded = [
            _lead("crowded", "umbrella-crm", "2024-05-03", "long"),
            _lead(ARABIC, "umbrella-crm", "2024-05-03", "arabic"),
        ]
        types = (LONG, ARABIC, "x" * 200, *(f"Fair {number}" for number in range(40)))
        for lead in crowded:
            lead["actions"] = [lead["actions"][0] | {"action_type": each} for each in types]
        started = self.client.post("/leads", json=[*unknown, large, *crowded])
        started.raise_for_status()
        self._wait(started.json()["status_url"])
        for action in self.lead("may")["actions"][:3]:
            self._post(f"/api/actions/{action['action_id']}/hold", reason="Three in a second: a <b>robot</b>?")

    def _people(self) -> None:
        for role, (name, _) in PEOPLE.items():
            self._post("/api/users", name=name, email=f"{role}@example.com", password=PASSWORD)

    def _give_roles(self) -> None:
        """Give the people their roles; one of a partner needs the partner."""
        users = {each["email"]: each["user_id"] for each in self.client.get("/api/users").json()["items"]}
        for role, (_, partner) in PEOPLE.items():
            if role != "none":
                self._patch(f"/api/users/{users[f'{role}@example.com']}", role=role, partner=partner)

    def _leads(self) -> Iterator[Json]:
        for at, (partner, *_) in enumerate(PARTNERS):
            for month, count in (("2024-03", 12 + at), ("2024-04", 20 + 3 * at), ("2024-05", 60 + 5 * at)):
                for number in range(count):
                    yield {
                        "lead_id": f"{partner}-{month}-{number}",
                        "customer_id": f"person-{number % 12}",
                        "product_id": f"{partner}-{'crm' if number % 3 else 'cloud'}",
                        "lead_type": "Website Visit",
                        "actions": [
                            {
                                "action_type": f"Form {number % 9} {month}",
                                "engagement_level": ("High", "Medium", "Low")[number % 3],
                                "timestamp": f"{month}-{1 + number % 27:02d}T10:00:00Z",
                            }
                        ],
                    }

    def _bill(self, partner: str, period: str, steps: int) -> None:
        """Make a bill and take it so many steps further: submit, approve, issue, pay."""
        self._usage(partner, period, 1500 if period == "2024-04" else 900)
        started = self.client.post("/api/bills", json={"partner": partner, "period": period})
        started.raise_for_status()
        if started.status_code == 202:
            self._wait(started.json()["status_url"])
        if steps > 0:
            self._move(self.client, partner, period, "submit")
        if steps == 2:
            self._move(self.sales, partner, period, "reject", reason="The leads of the fair are missing.")
        if steps > 2:
            self._move(self.sales, partner, period, "approve", comment="Checked against the contract.")
        if steps > 3:
            self._move(self.client, partner, period, "issue")
        if steps == 5:
            bill = self.bill_of(partner, period)
            self._post(
                "/api/payments",
                external_id=f"pay-{partner}-{period}",
                partner=partner,
                amount=bill["open"],
                paid_on="2024-05-20",
                reference="SEPA 4711",
                allocations=[{"bill": bill["bill_id"], "amount": bill["open"]}],
            )

    @cached_property
    def sales(self) -> httpx.Client:
        """The browser of Sales."""
        return self.sign_in("sales")

    def _usage(self, partner: str, period: str, units: int) -> None:
        self._post("/api/usage", partner=partner, period=period, source="api", key="calls", units=units)

    def _move(self, client: httpx.Client, partner: str, period: str, move: str, **more: str) -> None:
        bill = self.bill_of(partner, period)
        client.patch(f"/api/bills/{bill['bill_id']}/{move}", json={"digest": bill["digest"], **more}).raise_for_status()

    def _post(self, path: str, **body: Any) -> Json:
        answer = self.client.post(path, json=body)
        assert answer.is_success, (path, body, answer.text)
        made: Json = answer.json()
        return made

    def _patch(self, path: str, **body: Any) -> None:
        answer = self.client.patch(path, json=body)
        assert answer.is_success, (path, body, answer.text)

    def _put(self, path: str, **body: Any) -> None:
        answer = self.client.put(path, json=body)
        assert answer.is_success, (path, body, answer.text)

    def _wait(self, url: str) -> None:
        for _ in range(600):
            state = self.client.get(url).json()["state"]
            if state in ("done", "failed"):
                assert state == "done", url
                return
            time.sleep(0.1)
        raise TimeoutError(url)


def _lead(lead_id: str, product: str, day: str, customer: str = "person-1") -> Json:
    action = {"action_type": "Form", "engagement_level": "High", "timestamp": f"{day}T10:00:00Z"}
    return {
        "lead_id": lead_id,
        "customer_id": customer,
        "product_id": product,
        "lead_type": "Website Visit",
        "actions": [action],
    }
