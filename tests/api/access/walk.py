"""The walk: every route, what it needs, and which of them show a bound caller what is its partner's."""

import re
from enum import Enum, auto
from typing import NamedTuple
from uuid import uuid4

import httpx
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from api.access.permissions import Permission
from tests.api.world import Json, lead


class Anybody(Enum):
    """What is open without a permission."""

    PUBLIC = auto()
    PEOPLE = auto()
    """Whoever has signed in."""
    ONESELF = auto()
    """The person in the path, and Admins."""
    READERS = auto()
    """Whoever has signed in and may read: who of them may approve a bill is up to the bill."""
    SIGNED = auto()
    """Whoever signs the body."""


PUBLIC, PEOPLE, ONESELF, READERS, SIGNED = Anybody
NEEDED: dict[str, Permission | Anybody] = {
    "openapi": PUBLIC,
    "docs": PUBLIC,
    "docs-assets": PUBLIC,
    "live": PUBLIC,
    "ready": PUBLIC,
    "prometheus": Permission.METRICS,
    "post_leads": Permission.INGEST,
    "list_batches": Permission.READ,
    "list_batch_problems": Permission.READ,
    "list_possible_corrections": Permission.READ,
    "get_batch": Permission.READ,
    "list_leads": Permission.READ,
    "get_lead": Permission.READ,
    "list_reports": Permission.READ,
    "rebuild_report": Permission.BILL,
    "get_report": Permission.READ,
    "list_report_customers": Permission.READ,
    "list_report_versions": Permission.READ,
    "close_periods": Permission.BILL,
    "get_period": Permission.READ,
    "close_period": Permission.BILL,
    "reopen_period": Permission.BILL,
    "list_periods": Permission.READ,
    "create_partner": Permission.ADMIN,
    "list_partners": Permission.READ,
    "list_terms": Permission.READ,
    "get_partner": Permission.READ,
    "change_partner": Permission.PRICING,
    "create_product": Permission.ADMIN,
    "list_products": Permission.READ,
    "get_product": Permission.READ,
    "change_product": Permission.ADMIN,
    "create_customer": Permission.ADMIN,
    "list_customers": Permission.READ,
    "get_customer": Permission.READ,
    "change_customer": Permission.ADMIN,
    "erase_customer": Permission.ADMIN,
    "create_rate": Permission.PRICING,
    "change_rate": Permission.PRICING,
    "end_rate": Permission.PRICING,
    "process_monthly_billing": Permission.BILL,
    "process_shop_billing": Permission.BILL,
    "github_webhook": SIGNED,
    "get_scheduler_status": Permission.READ,
    "get_scheduler_health": Permission.READ,
    "list_run_dead_letters": Permission.READ,
    "retry_run_dead_letters": Permission.BILL,
    "start_reconciliation": Permission.READ,
    "get_reconciliation": Permission.READ,
    "list_reconciled_rows": Permission.READ,
    "start_what_if": Permission.BILL,
    "get_what_if": Permission.BILL,
    "cancel_what_if": Permission.BILL,
    "explain_difference": Permission.READ,
    "list_pre_close": Permission.READ,
    "make_bill": Permission.BILL,
    "list_bills": Permission.READ,
    "get_bill": Permission.READ,
    "get_file": Permission.READ,
    "list_actions": Permission.READ,
    "replay_bill": Permission.BILL,
    "submit_bill": Permission.BILL,
    "recall_bill": Permission.BILL,
    "refresh_bill": Permission.BILL,
    "revise_bill": Permission.BILL,
    "issue_bill": Permission.BILL,
    "void_bill": Permission.BILL,
    "approve_bill": READERS,
    "withdraw_approval": READERS,
    "reject_bill": READERS,
    "move_bills": Permission.READ,
    "enter_payment": Permission.BILL,
    "list_payments": Permission.READ,
    "get_payment": Permission.READ,
    "reverse_payment": Permission.BILL,
    "enter_refund": Permission.BILL,
    "list_refunds": Permission.READ,
    "get_refund": Permission.READ,
    "reverse_refund": Permission.BILL,
    "enter_opening_item": Permission.BILL,
    "list_opening_items": Permission.READ,
    "get_opening_item": Permission.READ,
    "reverse_opening_item": Permission.BILL,
    "allocate_payment": Permission.BILL,
    "write_off_bill": Permission.BILL,
    "take_back_write_off": Permission.BILL,
    "dispute_bill": Permission.BILL,
    "send_bill": Permission.BILL,
    "list_mails": Permission.READ,
    "retry_mails": Permission.BILL,
    "list_reminders": Permission.READ,
    "start_reminders": Permission.BILL,
    "create_credit_note": Permission.BILL,
    "post_returns": Permission.BILL,
    "list_returns": Permission.READ,
    "decide_returns": Permission.BILL,
    "get_statement": Permission.READ,
    "list_ageing": Permission.READ,
    "get_ledger": Permission.READ,
    "enter_adjustment": Permission.BILL,
    "list_adjustments": Permission.READ,
    "take_back_adjustment": Permission.BILL,
    "put_seller": Permission.ADMIN,
    "get_seller": Permission.READ,
    "enter_usage": Permission.INGEST,
    "list_usage": Permission.READ,
    "get_attribution": Permission.READ,
    "list_fraud_rules": Permission.READ,
    "change_fraud_rule": Permission.ADMIN,
    "screen_fraud": Permission.BILL,
    "list_held": Permission.READ,
    "decide_held": Permission.BILL,
    "list_rates": Permission.READ,
    "get_rate": Permission.READ,
    "get_action": Permission.READ,
    "hold_action": Permission.BILL,
    "release_action": Permission.BILL,
    "return_action": Permission.BILL,
    "correct_action": Permission.BILL,
    "list_tasks": Permission.READ,
    "get_task": Permission.READ,
    "list_quarantine": Permission.READ,
    "retry_quarantine": Permission.ADMIN,
    "discard_quarantined": Permission.ADMIN,
    "list_dead_letters": Permission.READ,
    "retry_dead_letters": Permission.ADMIN,
    "get_workers": Permission.READ,
    "pause_workers": Permission.ADMIN,
    "resume_workers": Permission.ADMIN,
    "list_stuck": Permission.READ,
    "retry_stuck": Permission.ADMIN,
    "create_key": Permission.ADMIN,
    "list_keys": Permission.ADMIN,
    "rotate_key": Permission.ADMIN,
    "revoke_key": Permission.ADMIN,
    "create_webhook": Permission.ADMIN,
    "list_webhooks": Permission.ADMIN,
    "remove_webhook": Permission.ADMIN,
    "rotate_webhook": Permission.ADMIN,
    "enable_webhook": Permission.ADMIN,
    "test_webhook": Permission.ADMIN,
    "list_deliveries": Permission.ADMIN,
    "redeliver": Permission.ADMIN,
    "list_audit": Permission.ADMIN,
    "sign_up": PUBLIC,
    "invite_user": Permission.ADMIN,
    "list_users": Permission.ADMIN,
    "get_user": ONESELF,
    "change_user": ONESELF,
    "reset_user": Permission.ADMIN,
    "sign_in": PUBLIC,
    "get_session": PEOPLE,
    "sign_out": PEOPLE,
    "change_password": PEOPLE,
    "forgot_password": PUBLIC,
    "reset_password": PUBLIC,
    "get_asset": PUBLIC,
    "show_home": PEOPLE,
    "show_welcome": PUBLIC,
    "sign_in_here": PUBLIC,
    "sign_up_here": PUBLIC,
    "forgot_password_here": PUBLIC,
    "set_up_here": PUBLIC,
    "show_password": PUBLIC,
    "set_password_here": PUBLIC,
    "show_dashboard": Permission.READ,
    "stream_health": Permission.READ,
    "get_health": Permission.READ,
    "show_bills": Permission.READ,
    "move_many_bills": Permission.READ,
    "show_bill": Permission.READ,
    "show_file": Permission.READ,
    "move_bill_here": Permission.READ,
    "enter_payment_here": Permission.BILL,
    "reverse_payment_here": Permission.BILL,
    "send_bill_here": Permission.BILL,
    "create_credit_note_here": Permission.BILL,
    "cancel_bill_here": Permission.BILL,
    "dispute_bill_here": Permission.BILL,
    "write_off_bill_here": Permission.BILL,
    "search": Permission.READ,
    "show_account": PEOPLE,
    "name_deputy": PEOPLE,
    "change_name_here": PEOPLE,
    "change_password_here": PEOPLE,
    "sign_out_here": PEOPLE,
    "sign_out_everywhere": PEOPLE,
    "end_session_here": PEOPLE,
    "show_settings": Permission.ADMIN,
    "show_people": Permission.ADMIN,
    "invite_user_here": Permission.ADMIN,
    "show_user": Permission.ADMIN,
    "change_role_here": Permission.ADMIN,
    "change_active_here": Permission.ADMIN,
    "reset_user_here": Permission.ADMIN,
    "show_keys": Permission.ADMIN,
    "create_key_here": Permission.ADMIN,
    "rotate_key_here": Permission.ADMIN,
    "revoke_key_here": Permission.ADMIN,
    "show_notifications": Permission.ADMIN,
    "retry_mails_here": Permission.ADMIN,
    "show_seller": Permission.ADMIN,
    "put_seller_here": Permission.ADMIN,
    "show_audit": Permission.ADMIN,
    "lead_to_partners": Permission.READ,
    "lead_to_partner": Permission.READ,
    "show_partners": Permission.READ,
    "show_new_partner": Permission.ADMIN,
    "create_partner_here": Permission.ADMIN,
    "show_partner": Permission.READ,
    "show_terms": Permission.READ,
    "change_terms_here": Permission.PRICING,
    "show_products": Permission.READ,
    "create_product_here": Permission.ADMIN,
    "show_prices": Permission.READ,
    "set_price_here": Permission.PRICING,
    "end_price_here": Permission.PRICING,
    "show_usage": Permission.READ,
    "enter_usage_here": Permission.BILL,
    "show_statement": Permission.READ,
    "show_month_of_partner": Permission.READ,
    "close_period_here": Permission.BILL,
    "reopen_period_here": Permission.BILL,
    "adjust_month_here": Permission.BILL,
    "take_back_adjustment_here": Permission.BILL,
    "show_own_partner": Permission.READ,
    "show_reconciliations": Permission.READ,
    "reconcile_here": Permission.READ,
    "show_reconciliation": Permission.READ,
    "export_reconciliation": Permission.READ,
    "show_returns": Permission.READ,
    "ask_returns_here": Permission.READ,
    "ask_return_here": Permission.READ,
    "show_activity": Permission.READ,
    "export_activity": Permission.READ,
    "export_bills": Permission.READ,
    "show_lead": Permission.READ,
    "decide_action_here": Permission.BILL,
    "show_new_person": Permission.ADMIN,
    "create_person_here": Permission.ADMIN,
    "erase_person_here": Permission.ADMIN,
    "show_person": Permission.READ,
    "show_month_end": Permission.READ,
    "start_run_here": Permission.BILL,
    "show_run": Permission.READ,
    "retry_run_here": Permission.BILL,
    "show_held": Permission.READ,
    "decide_held_here": Permission.BILL,
    "show_import": Permission.INGEST,
    "import_here": Permission.INGEST,
    "show_batch": Permission.READ,
    "get_batch_problems": Permission.READ,
    "show_what_if": Permission.BILL,
    "start_what_if_here": Permission.BILL,
    "show_what_if_result": Permission.BILL,
    "cancel_what_if_here": Permission.BILL,
    "show_webhooks": Permission.ADMIN,
    "create_webhook_here": Permission.ADMIN,
    "show_webhook": Permission.ADMIN,
    "act_on_webhook_here": Permission.ADMIN,
    "remove_webhook_here": Permission.ADMIN,
    "redeliver_here": Permission.ADMIN,
    "show_quarantine": Permission.READ,
    "retry_quarantine_here": Permission.ADMIN,
    "discard_quarantined_here": Permission.ADMIN,
    "show_dead_letters": Permission.READ,
    "show_failed_tasks": Permission.READ,
    "retry_dead_letters_here": Permission.ADMIN,
}
"""What each route needs, by the name of its function."""
QUERIES = {"get_attribution": {"partner": "acme", "period": "2024-04"}}
"""What must be asked of a route."""
BY_FORM = {
    "sign_in_here": "session.started",
    "sign_up_here": "user.signed_up",
    "forgot_password_here": "user.link_made",
    "set_up_here": "user.created",
    "set_password_here": "user.password_changed",
    "change_name_here": "user.changed",
    "change_password_here": "user.password_changed",
    "sign_out_here": "session.ended",
    "name_deputy": "user.changed",
    "sign_out_everywhere": "session.ended",
    "end_session_here": "session.ended",
    "move_many_bills": "bill.submit",
    "move_bill_here": "bill.submit",
    "enter_payment_here": "payment.entered",
    "reverse_payment_here": "payment.reversed",
    "send_bill_here": "bill.sent",
    "create_credit_note_here": "credit_note.created",
    "cancel_bill_here": "credit_note.created",
    "dispute_bill_here": "bill.disputed",
    "write_off_bill_here": "bill.written_off",
    "invite_user_here": "user.created",
    "change_role_here": "user.changed",
    "change_active_here": "user.changed",
    "reset_user_here": "user.link_made",
    "create_key_here": "key.created",
    "rotate_key_here": "key.rotated",
    "revoke_key_here": "key.revoked",
    "put_seller_here": "seller.changed",
    "create_partner_here": "partner.created",
    "create_person_here": "customer.created",
    "erase_person_here": "customer.erased",
    "retry_mails_here": "mails.retried",
    "change_terms_here": "partner.changed",
    "create_product_here": "product.created",
    "set_price_here": "rate.created",
    "end_price_here": "rate.ended",
    "enter_usage_here": "usage.entered",
    "decide_action_here": "action.held",
    "ask_return_here": "return.asked",
    "ask_returns_here": "return.asked",
    "close_period_here": "period.closed",
    "reopen_period_here": "period.reopened",
    "adjust_month_here": "adjustment.entered",
    "take_back_adjustment_here": "adjustment.taken_back",
    "start_run_here": "billing_run.started",
    "retry_run_here": "billing_run.started",
    "decide_held_here": "action.released",
    "create_webhook_here": "webhook.created",
    "act_on_webhook_here": "webhook.rotated",
    "remove_webhook_here": "webhook.removed",
    "redeliver_here": "webhook.redelivered",
    "retry_quarantine_here": "quarantine.retried",
    "discard_quarantined_here": "quarantine.discarded",
    "retry_dead_letters_here": "dead_letters.retried",
}
"""The forms of pages: each does what a route of the API does, of which the audit says this."""
AS_WELL = {
    "enter_usage": Permission.BILL,
    "change_partner": Permission.BILL,
    "post_returns": Permission.READ,
    "change_terms_here": Permission.BILL,
}
AS_WELL |= dict.fromkeys(
    (
        "start_what_if",
        "get_what_if",
        "cancel_what_if",
        "show_what_if",
        "start_what_if_here",
        "show_what_if_result",
        "cancel_what_if_here",
    ),
    Permission.PRICING,
)
"""What does as well."""


REASON: Json = {"reason": "walked"}
OPEN: dict[str, Json | str | None] = {
    "post_leads": lead("walk", product_id="{product}"),
    "list_batches": None,
    "get_batch": None,
    "list_batch_problems": None,
    "list_possible_corrections": None,
    "list_leads": None,
    "get_lead": None,
    "list_reports": None,
    "rebuild_report": {"partner": "{partner}", "period": "2024-04"},
    "get_report": None,
    "list_report_customers": None,
    "list_report_versions": None,
    "close_periods": {"through": "2024-03"},
    "get_period": None,
    "close_period": None,
    "reopen_period": None,
    "list_periods": None,
    "list_partners": None,
    "list_terms": None,
    "get_partner": None,
    "change_partner": {"cap": "5000.00"},
    "enter_usage": {"partner": "{partner}", "period": "2024-04", "source": "api", "key": "walk", "units": 7},
    "list_usage": None,
    "list_bills": None,
    "get_bill": None,
    "get_statement": None,
    "get_file": None,
    "get_attribution": None,
    "show_bills": None,
    "show_quarantine": None,
    "show_month_of_partner": None,
    "show_own_partner": None,
    "show_reconciliations": None,
    "reconcile_here": {"period": "2024-04", "file": "lead_id,amount\n{lead_id},9.00\n"},
    "show_reconciliation": None,
    "export_reconciliation": None,
    "show_returns": None,
    "ask_returns_here": {"leads": "{lead_id}", "reason": "invalid"},
    "ask_return_here": {"action": "{action_id}", "reason": "invalid"},
    "search": None,
    "show_activity": None,
    "export_activity": None,
    "export_bills": None,
    "show_lead": None,
    "show_person": None,
    "show_partner": None,
    "show_terms": None,
    "show_products": None,
    "show_prices": None,
    "show_usage": None,
    "show_statement": None,
    "show_bill": None,
    "show_file": None,
    "list_products": None,
    "get_product": None,
    "create_rate": {"partner": "{partner}", "action_type": "Call", "amount": "2.00"},
    "change_rate": {"amount": "8.00"},
    "end_rate": None,
    "list_rates": None,
    "get_rate": None,
    "get_action": None,
    "hold_action": REASON,
    "release_action": REASON,
    "return_action": REASON,
    "correct_action": REASON | {"action_type": "Open"},
    "start_reconciliation": "lead_id,amount\n{lead_id},9.00\n",
    "get_reconciliation": None,
    "list_reconciled_rows": None,
    "post_returns": {"leads": ["{lead_id}"], "reason": "invalid"},
    "list_returns": None,
    "list_tasks": None,
    "get_task": None,
    "list_quarantine": None,
}
"""The routes that keep to the partner of a bound key, each with a body (a text is CSV). All others refuse such keys."""
OPEN_FORMS = {"reconcile_here", "ask_returns_here", "ask_return_here"}
"""Those that are forms; what is under `file` is one."""
NAME_NOBODY = {"reconcile_here"}
"""Those that are about the caller's own partner, whatever they say."""
ASKED = {"start_reconciliation": "?partner={partner}&period=2024-04"}
"""The queries of those that need one."""


class Route(NamedTuple):
    """A route and one of its methods."""

    name: str
    method: str
    path: str

    async def send(self, client: httpx.AsyncClient) -> httpx.Response:
        """A request whose path is valid, with the query that it must have; its body is empty."""
        return await client.request(
            self.method,
            self._path(),
            params=QUERIES.get(self.name),
            json={} if self.method in ("POST", "PUT", "PATCH") else None,
        )

    async def send_invalid(self, client: httpx.AsyncClient) -> httpx.Response:
        """A request whose path, query and body are all invalid."""
        path = re.sub(r"{[^}]+}", "x", self.path)
        return await client.request(self.method, path, params={"unknown": "x"}, content=b"{")

    def _path(self) -> str:
        if self.name == "docs-assets":
            return f"{self.path}/swagger-ui.css"
        path = self.path.replace("{period}", "2024-04").replace("{kind}", "pdf").replace("{rule_id}", "1")
        return re.sub(r"{[^}]+}", lambda _: str(uuid4()), path)


def routes_of(app: FastAPI) -> list[Route]:
    """Every route of the app with each of its methods, also those that the API's description leaves out."""
    return [
        Route(str(each.name), method, str(each.path))
        for each in iter_route_contexts(app.routes)
        for method in sorted(each.methods or {"GET"})
    ]


def queries_of(app: FastAPI) -> dict[str, set[str]]:
    """What each route may be asked in its query, also pages, which the API's description leaves out."""
    return {
        str(each.name): {
            parameter.alias
            for read_from in (each.route.dependant, *each.route.dependant.dependencies)
            for parameter in read_from.query_params
        }
        for each in iter_route_contexts(app.routes)
        if hasattr(each.route, "dependant")
    }
