"""What all pages of one partner show: who it is, and the way to its other pages."""

from dataclasses import dataclass

import asyncpg
from fastapi import Request

from api.access.visibility import own_partner
from api.ids import partner_id_of
from api.pages.languages import language_from_terms
from db.contracts import reading
from db.contracts.reading import Contract
from db.masters import partners
from db.masters.partners import Partner

_TABS = (
    ("", "Overview"),
    ("/terms", "Terms"),
    ("/products", "Products"),
    ("/prices", "Prices"),
    ("/usage", "Usage"),
    ("/statement", "Statement"),
)


@dataclass(frozen=True, slots=True)
class Heading:
    """A partner, what is agreed with it, and its pages."""

    partner: Partner
    contract: Contract

    @property
    def path(self) -> str:
        """Where the pages of the partner are."""
        return f"/partners/{self.partner.id}"

    @property
    def language(self) -> str:
        """How figures about the partner are written; empty: as the browser asks for."""
        return language_from_terms(self.contract.terms)

    @property
    def tabs(self) -> list[tuple[str, str, str]]:
        """Name, label and path of each page."""
        return [(name, label, self.path + name) for name, label in _TABS]


async def heading_of(request: Request, connection: asyncpg.Connection, text: str) -> Heading:
    """The heading of a partner by its key or its own id; Problem 404 if the caller sees no such partner."""
    partner_id = await partner_id_of(connection, text, within=own_partner(request))
    partner = await partners.read(connection, partner_id)
    assert partner is not None
    return Heading(partner, await reading.read(connection, partner_id))
