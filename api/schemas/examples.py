"""An example of every body, by the name of its schema: what the interactive documentation writes into the form.

They name partners and people that nothing else in the documentation names, so that trying one is in nobody's way.
"""

from typing import Any

_ACTION = "0198c0de-0000-7000-8000-000000000001"
_BILL = "0198c0de-0000-7000-8000-000000000002"
_PERSON = "0198c0de-0000-7000-8000-000000000003"
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_MONTH = {"partner": "docs-partner", "period": "2024-06"}
_REASON = {"reason": "The partner could not reach this person."}
_PAID = {"partner": "docs-partner", "amount": "119.00", "paid_on": "2024-07-12"}

EXAMPLES: dict[str, Any] = {
    "AdjustmentIn": _MONTH | {"text": "Launch discount", "amount": "-50.00", "reason": "Agreed on 3 June 2024."},
    "AllocationsIn": {"allocations": [{"bill": "DOCS-0001", "amount": "119.00"}]},
    "BillIn": _MONTH,
    "CloseIn": {"through": "2024-06"},
    "CorrectionIn": {"engagement_level": "Low", "reason": "The form was opened and not sent."},
    "CreditNoteIn": {"bill": "DOCS-0001", "lines": [{"line": 1, "net": "20.00"}], "reason": "Two leads were tests."},
    "CustomerChange": {"name": "Ada King"},
    "CustomerIn": {"external_id": "docs-customer", "name": "Ada Byron", "email": "ada@docs.example"},
    "DifferenceIn": _MONTH,
    "DiscardIn": {"ids": [1, 2], "reason": "Sent by mistake."},
    "DisputeIn": {"digest": _DIGEST, "reason": "The partner counts 12 leads and not 14."},
    "Forgotten": {"email": "grace@docs.example"},
    "FraudRuleIn": {"armed": True, "threshold": 80},
    "HeldDecisionIn": _REASON | {"actions": [_ACTION], "decision": "confirm"},
    "Invitation": {"name": "Grace Hopper", "email": "grace@docs.example", "role": "finance"},
    "KeyIn": {"name": "CRM", "scopes": ["ingest", "read"]},
    "MoveIn": {"digest": _DIGEST, "comment": "Compared with the contract."},
    "MovesIn": {"move": "approve", "bills": [{"bill": _BILL, "digest": _DIGEST}]},
    "OpeningItemIn": {
        "external_id": "docs-opening",
        "partner": "docs-partner",
        "amount": "250.00",
        "due_on": "2024-06-30",
        "reference": "Invoice 4711 of the former system",
    },
    "PartnerChange": {"cap": "80.00", "payment_days": 14},
    "PartnerIn": {
        "external_id": "docs-partner",
        "name": "Documentation Ltd",
        "currency": "EUR",
        "timezone": "Europe/Berlin",
        "cap": "100.00",
        "dedup_window": "period",
        "tax": {"category": "S", "rate": "19.00"},
        "payment_days": 30,
        "preferences": {"emails": ["billing@docs.example"], "language": "en", "number_prefix": "DOCS"},
    },
    "PasswordChange": {"old": "the password until now", "new": "four words of no meaning"},
    "PauseIn": {"reason": "The database gets a new disk."},
    "PaymentIn": _PAID | {"external_id": "docs-payment", "reference": "DOCS-0001"},
    "ProductChange": {"description": "The handbook and its search"},
    "ProductIn": {"external_id": "docs-product", "partner": "docs-partner", "name": "Handbook"},
    "RateChangeIn": {"amount": "12.00"},
    "RateIn": {
        "partner": "docs-partner",
        "action_type": "Form Submission",
        "engagement_level": "High",
        "amount": "12.00",
        "effective_from": "2024-06",
    },
    "ReasonIn": _REASON,
    "ReasonedMoveIn": {"digest": _DIGEST, "reason": "The PO number is missing."},
    "RebuildIn": _MONTH,
    "RefundIn": _PAID | {"external_id": "docs-refund", "reference": "Paid twice"},
    "Reset": {"token": "of the link in the mail", "password": "four words of no meaning"},
    "RetryLettersIn": {"ids": [1, 2]},
    "RetryMailsIn": {"ids": ["0198c0de-0000-7000-8000-000000000004"]},
    "RetryQuarantineIn": {"ids": [1, 2]},
    "RetryRunsIn": {"ids": ["0198c0de-0000-7000-8000-000000000005"]},
    "ReturnDecisionIn": _REASON | {"actions": [_ACTION], "decision": "accept"},
    "ReturnIn": {"reason": {"reason": "wrong_contact", "text": "The number is of somebody else."}},
    "ReversalIn": {"reason": "Entered for the wrong partner."},
    "RotationIn": {"overlap_s": 3600},
    "RunIn": {"period": "2024-06", "dry_run": True, "shop_ids": ["docs-partner"]},
    "ScreenIn": _MONTH,
    "SecretIn": {"overlap_s": 86400},
    "SellerIn": {
        "name": "Leadger Ltd",
        "address": "1 Ledger Lane\n10115 Berlin",
        "tax_id": "DE123456788",
        "iban": "DE89370400440532013000",
        "small_amount": "5.00",
    },
    "SendIn": {"digest": _DIGEST},
    "ShopRunIn": {"period": "2024-06", "dry_run": True},
    "SignIn": {"email": "grace@docs.example", "password": "four words of no meaning"},
    "SignUp": {"name": "Grace Hopper", "email": "grace@docs.example", "password": "four words of no meaning"},
    "UsageIn": _MONTH | {"source": "api", "key": "total", "units": 12500},
    "UserChange": {"role": "finance", "deputy": {"user": _PERSON, "until": "2024-07-01T00:00:00Z"}},
    "WebhookIn": {"url": "https://docs.example/leadger", "events": ["bill.issued", "bill.paid"]},
    "WhatIfIn": {"partners": ["docs-partner"], "from": "2024-04", "to": "2024-06", "cap": "80.00"},
}
