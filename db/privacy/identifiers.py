"""What identifies a person, and its removal from leads and texts."""

from uuid import UUID

import msgspec

from billing.leads import Lead
from db.core.row_keys import customer_uuid
from db.intake.payloads import leads_from_payload
from db.masters.erased import ERASED_NAME


class Identity(msgspec.Struct, frozen=True):
    """What identifies a customer; an erasure remembers it until it has removed it everywhere."""

    ids: frozenset[UUID]
    """The person's key and those of the aliases."""
    spellings: frozenset[str]
    """The customer's ids as callers write them."""
    names: frozenset[str]
    emails: frozenset[str]

    @property
    def in_json(self) -> list[bytes]:
        """Byte strings of which the JSON of a lead of this person holds at least one: an id or an e-mail."""
        texts = {*self.spellings, *self.emails, *map(str, self.ids), *(str(each).upper() for each in self.ids)}
        return sorted(json_from_text(text) for text in texts)

    def without_emails(self) -> "Identity":
        """The ids alone."""
        return Identity(self.ids, self.spellings, frozenset(), frozenset())

    def erase_from(self, lead: Lead) -> bool:
        """Remove the identity from a lead, which still means the same customer; False if the lead does not hold it."""
        own_id = customer_uuid(lead.customer)
        if own_id in self.ids:
            changed = bool(lead.person) or lead.customer != str(own_id)
            lead.customer, lead.person = str(own_id), None
            return changed
        if lead.person and lead.person.email in self.emails:
            lead.person = None
            return True
        return False

    def erase_from_detail(self, text: str) -> str:
        """Remove the ids from a detail of ours, which puts them in quotes."""
        for spelling in self.spellings:
            text = text.replace(repr(spelling), repr(str(customer_uuid(spelling))))
        return text

    def erase_from_error(self, text: str) -> str:
        """Remove the identity from an error, which may quote a whole lead."""
        text = self.erase_from_detail(text)
        for secret in sorted({*self.emails, *self.names}, key=len, reverse=True):
            text = text.replace(secret, ERASED_NAME)
        return text

    def erase_from_damaged(self, payload: bytes) -> bytes:
        """Remove the identity from a payload that cannot be read as leads."""
        for text in {*self.spellings, *self.emails, *self.names}:
            payload = payload.replace(json_from_text(text), json_from_text(ERASED_NAME))
        return payload


def json_from_text(text: str) -> bytes:
    """A text as it is written in JSON, without the quotes."""
    return msgspec.json.encode(text)[1:-1]


def readable_leads(payload: bytes) -> list[Lead]:
    """The leads in the payload of an inbox row; none if it is damaged."""
    try:
        return leads_from_payload(payload)
    except msgspec.MsgspecError:
        return []
