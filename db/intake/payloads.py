"""Payloads: leads as JSON, as the inbox, the quarantine and the dead letters keep them."""

from collections.abc import Sequence

import msgspec

from billing.leads import Lead

_encode = msgspec.json.Encoder().encode
_decode_leads = msgspec.json.Decoder(list[Lead]).decode
_decode_lead = msgspec.json.Decoder(Lead).decode


def payload_from_leads(leads: Sequence[Lead]) -> bytes:
    """The leads of a row of the inbox."""
    return _encode(leads)


def leads_from_payload(payload: bytes) -> list[Lead]:
    """Read what `payload_from_leads` wrote; raises msgspec.MsgspecError if it is damaged."""
    return _decode_leads(payload)


def payload_from_lead(lead: Lead) -> bytes:
    """One lead of the quarantine or the dead letters."""
    return _encode(lead)


def lead_from_payload(payload: bytes) -> Lead:
    """Read what `payload_from_lead` wrote; raises msgspec.MsgspecError if it is damaged."""
    return _decode_lead(payload)
