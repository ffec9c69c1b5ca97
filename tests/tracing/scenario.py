"""A scenario of requests while tracing is on; its names are personal data, so no trace may hold them."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.builders import lead
from tests.stack import Stack

PERSONAL = ("Ursula Unverkennbar", "ursula@unverkennbar.example", "ursula-1", "Unverkennbar GmbH", "lead-of-ursula")
MANY = 40
CALLERS_TRACE = "0af7651916cd43dd8448eb211c80319c"
UNSAMPLED_TRACE = "1bf7651916cd43dd8448eb211c80319c"
CALLERS_SPAN = "b7ad6b7169203331"


def client(stack: Stack) -> httpx.Client:
    """An HTTP client with the stack's key."""
    headers = {"Authorization": f"Bearer {stack.key}"}
    return httpx.Client(base_url=stack.url, headers=headers, trust_env=False, timeout=30)


def make_masters(http: httpx.Client) -> None:
    """A partner, a product and Ursula."""
    name, email, customer, partner, _ = PERSONAL
    for kind, fields in {
        "partners": {"external_id": "unverkennbar", "name": partner, "currency": "EUR"},
        "products": {"external_id": "crm", "partner": "unverkennbar", "name": "CRM"},
        "customers": {"external_id": customer, "name": name, "email": email},
    }.items():
        http.post(f"/api/{kind}", json=fields).raise_for_status()


def send(http: httpx.Client, request_id: str, **headers: str) -> str:
    """Send a lead of Ursula's; returns the URL of its status."""
    sent = lead(f"{PERSONAL[4]}-{request_id}", customer=PERSONAL[2], product="crm")
    response = http.post("/leads", json=sent, headers={"X-Request-ID": request_id, **headers})
    assert response.status_code == 202, response.text
    url: str = response.json()["status_url"]
    return url


def wait_until_done(http: httpx.Client, status_url: str) -> None:
    """Wait until a batch is decided."""
    deadline = time.monotonic() + 30
    while http.get(status_url).json()["state"] != "done":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def play(stack: Stack) -> None:
    """Send the requests one after the other; returns when everything is decided."""
    with client(stack) as http:
        make_masters(http)
        wait_until_done(http, send(http, "alone"))
        with ThreadPoolExecutor(MANY) as pool:
            urls = list(pool.map(lambda number: send(http, f"many-{number}"), range(MANY)))
        for url in urls:
            wait_until_done(http, url)
        wait_until_done(http, send(http, "joined", traceparent=f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01"))
        wait_until_done(http, send(http, "unsampled", traceparent=f"00-{UNSAMPLED_TRACE}-{CALLERS_SPAN}-00"))
        refused = {"X-Request-ID": "refused"}
        assert http.post("/leads", json={"bad": PERSONAL[0]}, headers=refused).status_code == 400
        assert http.get("/leads", params={"customer": PERSONAL[2]}).status_code == 200
        assert http.get(f"/leads/{PERSONAL[4]}-alone").status_code == 200
        assert http.get(f"/{PERSONAL[2]}").status_code == 404
        assert http.request("URSULA", "/leads").status_code == 405
        rebuild = {"partner": "unverkennbar", "period": "2024-04"}
        task = http.post("/billing/reports/rebuild", json=rebuild, headers={"X-Request-ID": "rebuild"}).json()
        while http.get(task["status_url"]).json()["state"] != "done":
            time.sleep(0.1)
        http.headers["Authorization"] = "Bearer wrong"
        assert http.get("/leads").status_code == 401
