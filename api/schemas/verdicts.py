"""Leads and their verdicts on the wire."""

from typing import Any

from api.wire import instant_out, totals_out
from billing.leads import Lead
from billing.money import amount_from_minor
from billing.periods import text_from_period
from billing.totals import Totals
from db.core.row_keys import customer_uuid, lead_uuid
from db.reports.explained_actions import Line
from db.reports.leads_on_record import LeadRow, LeadView


def lead_out_from_view(view: LeadView, *, people: bool) -> dict[str, Any]:
    """A decided lead with all its actions, explained; without `people` the customer has no name and no e-mail."""
    lead = view.lead
    return {
        "state": "done",
        "lead_id": lead.external_id,
        "id": lead.id,
        "source": lead.source or None,
        "partner": lead.partner,
        "customer": {
            "customer_id": customer_uuid(lead.customer),
            "external_id": lead.customer,
            "name": lead.customer_name if people else None,
            "email": lead.customer_email if people else None,
        },
        "product": lead.product,
        "lead_type": lead.lead_type,
        "created_at": instant_out(lead.created_at),
        "received_at": instant_out(lead.received_at),
        "currency": lead.currency,
        "totals": totals_out(view.totals, view.credited_minor),
        "actions": [action_out_from_line(line) for line in view.lines],
    }


def lead_summary_out(lead: LeadRow, totals: Totals, credited_minor: int, *, people: bool) -> dict[str, Any]:
    """A decided lead in a list."""
    return {
        "state": "done",
        "lead_id": lead.external_id,
        "id": lead.id,
        "source": lead.source or None,
        "partner": lead.partner,
        "customer": {
            "customer_id": customer_uuid(lead.customer),
            "external_id": lead.customer,
            "email": lead.customer_email if people else None,
        },
        "product": lead.product,
        "lead_type": lead.lead_type,
        "created_at": instant_out(lead.created_at),
        "currency": lead.currency,
        "totals": totals_out(totals, credited_minor),
    }


def action_out_from_line(line: Line) -> dict[str, Any]:
    """An action with every figure behind its verdict, and the sentence that explains it (R15)."""
    explained = line.explained
    verdict = explained.verdict
    action = verdict.action
    duplicate = verdict.outcome == "duplicate"
    winning = not duplicate and verdict.outcome not in ("held", "returned")
    return {
        "action_id": action.id,
        "external_id": line.external_id,
        "lead_id": line.lead,
        "action_type": action.action_type,
        "engagement_level": action.engagement_level,
        "occurred_at": instant_out(action.occurred_at),
        "occurrence": action.occurrence,
        "value": amount_from_minor(action.value_minor),
        "billed": amount_from_minor(verdict.billed_minor),
        "duplicate_savings": amount_from_minor(action.value_minor if duplicate else 0),
        "cap_savings": amount_from_minor(action.value_minor - verdict.billed_minor if winning else 0),
        "currency": line.currency,
        "outcome": verdict.outcome,
        "duplicate_of": explained.winner.action_id if explained.winner else None,
        "period": text_from_period(action.own_period),
        "billing_period": text_from_period(action.billing_period),
        "late": action.billing_period > action.own_period,
        "rate": {
            "rule_id": action.rate_rule_id,
            "rule": line.rule,
            "amount": amount_from_minor(action.value_minor),
            "card_version": line.card_version,
        },
        "cap": None if line.terms.cap_minor is None else amount_from_minor(line.terms.cap_minor),
        "cap_before": _amount(explained.cap_before_minor),
        "cap_after": _amount(explained.cap_after_minor),
        "credited": amount_from_minor(line.credit.amount_minor) if line.credit else None,
        "credited_in": text_from_period(line.credit.period) if line.credit else None,
        "corrects": line.decision.corrects,
        "corrected_by": line.decision.corrected_by,
        "reason": line.reason,
    }


def lead_out_from_lead(lead: Lead, state: str) -> dict[str, Any]:
    """A lead that is not decided: waiting or in quarantine."""
    return {
        "state": state,
        "lead_id": lead.external_id,
        "id": lead_uuid(*lead.identity),
        "source": lead.source or None,
        "customer": {"external_id": lead.customer},
        "product": lead.product,
        "lead_type": lead.lead_type,
        "created_at": instant_out(lead.created_at),
        "totals": None,
        "actions": [
            {
                "action_type": action.action_type,
                "engagement_level": action.engagement_level,
                "occurred_at": instant_out(action.occurred_at),
                "external_id": action.external_id or None,
            }
            for action in lead.actions
        ],
    }


def _amount(minor: int | None) -> str | None:
    return None if minor is None else amount_from_minor(minor)
