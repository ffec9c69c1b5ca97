"""A person for each role, so that maker and checker can be shown: none approves what they made themselves."""

import secrets

import httpx

from scripts.client import Client, Refused

_PARTNER = "acme"
_NAMES = {
    "finance": "Fay Finance",
    "customer_success": "Chris Success",
    "sales": "Sam Sales",
    "partner": "Pat Partner",
}


def make_people(client: Client) -> dict[str, tuple[str, str]]:
    """Make whoever is missing; e-mail and password of those who are new, by role."""
    made = {}
    for role, name in _NAMES.items():
        email, password = f"{role.replace('_', '.')}@leadger.example", secrets.token_urlsafe(18)
        try:
            user = client.post("/api/users", {"name": name, "email": email, "password": password}, repeatable=False)
        except Refused as refused:
            if refused.status != httpx.codes.CONFLICT:
                raise
            continue
        given = {"role": role} | ({"partner": _PARTNER} if role == "partner" else {})
        client.patch(f"/api/users/{user['user_id']}", given)
        made[role] = (email, password)
    return made
