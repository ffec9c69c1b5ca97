"""What tells who a person is, and how it is taken out of leads and sentences when the person is erased."""

from uuid import UUID

import msgspec

from billing.leads import Lead
from db.core.row_keys import customer_uuid
from db.intake import inbox
from db.masters.erased import ERASED_NAME


class Identity(msgspec.Struct, frozen=True):
    """What tells who a customer is, remembered for as long as it takes to find it everywhere."""

    ids: frozenset[UUID]
    """The person's key and those of the aliases."""
    spellings: frozenset[str]
    """The ids as callers spell them."""
    names: frozenset[str]
    emails: frozenset[str]

    @property
    def needles(self) -> list[bytes]:
        """What stands in the JSON of a lead that has the identity in it; nobody is named without id or e-mail."""
        texts = {*self.spellings, *self.emails, *map(str, self.ids), *(str(each).upper() for each in self.ids)}
        return sorted(needle(text) for text in texts)

    def erase_from(self, lead: Lead) -> bool:
        """Take the identity out of a lead, which goes on to mean the same customer; False if there is none in it."""
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
        """Take the ids out of a sentence of ours, which puts them in quotes."""
        for spelling in self.spellings:
            text = text.replace(repr(spelling), repr(str(customer_uuid(spelling))))
        return text

    def erase_from_error(self, text: str) -> str:
        """Take the identity out of a text that may quote a whole lead."""
        text = self.erase_from_detail(text)
        for secret in sorted({*self.emails, *self.names}, key=len, reverse=True):
            text = text.replace(secret, ERASED_NAME)
        return text

    def erase_from_damaged(self, payload: bytes) -> bytes:
        """Take the identity out of what cannot be read as leads."""
        for text in {*self.spellings, *self.emails, *self.names}:
            payload = payload.replace(needle(text), needle(ERASED_NAME))
        return payload


def needle(text: str) -> bytes:
    """A text as JSON spells it, without the quotes."""
    return msgspec.json.encode(text)[1:-1]


def readable_leads(payload: bytes) -> list[Lead]:
    """The leads in a row of the inbox; none if it is damaged."""
    try:
        return inbox.leads_from_payload(payload)
    except msgspec.MsgspecError:
        return []
