"""What the routes answer, for the OpenAPI document. A test compares every answer with it, so neither can drift."""

from api.schemas.answers.account import Ageing, OpeningItem, Payment, Refund, Statement
from api.schemas.answers.attribution import Attribution
from api.schemas.answers.audit import AuditLine, Who
from api.schemas.answers.base import Answer, FieldError, Page, Totals
from api.schemas.answers.batches import (
    Accepted,
    ActionCounts,
    Batch,
    BatchCounts,
    LeadCounts,
    LeadProblem,
    PossibleCorrection,
)
from api.schemas.answers.bills import Adjustment, Bill, BillAction, BillHead, MovedBill
from api.schemas.answers.contracts import Seller, Usage
from api.schemas.answers.customers import Customer
from api.schemas.answers.fraud import DecidedAction, FraudRule, HeldPage
from api.schemas.answers.keys import Key, NewKey, RotatedKey
from api.schemas.answers.leads import (
    Action,
    ActionSent,
    CustomerOf,
    DryRun,
    Lead,
    LeadSummary,
    QuarantineProblem,
    RateOf,
)
from api.schemas.answers.mail import BillMail, Mail, Reminder, RetriedMails
from api.schemas.answers.operations import Health, Readiness
from api.schemas.answers.partners import Partner, Period, PeriodToClose
from api.schemas.answers.products import Product
from api.schemas.answers.quarantine import DeadLetter, Discarded, Quarantined, Retried
from api.schemas.answers.rate_cards import Rate
from api.schemas.answers.reconciliation import ReconciledRow, Reconciliation
from api.schemas.answers.reports import CustomerPart, ProductPart, Report, ReportFile, ReportVersion
from api.schemas.answers.returns import Return, ReturnedAction
from api.schemas.answers.runs import (
    PreClose,
    Run,
    RunDeadLetter,
    RunsRetried,
    RunStarted,
    SchedulerHealth,
    SchedulerStatus,
)
from api.schemas.answers.tasks import Progress, Task, TaskStarted
from api.schemas.answers.users import InvitedUser, PasswordLink, Session, User
from api.schemas.answers.webhooks import Delivery, MessageWritten, NewSecret, NewWebhook, Webhook
from api.schemas.answers.what_if import WhatIf
from api.schemas.answers.workers import Notified, Pause, StuckPart, Workers

__all__ = [
    "Accepted",
    "Action",
    "ActionCounts",
    "ActionSent",
    "Adjustment",
    "Ageing",
    "Answer",
    "Attribution",
    "AuditLine",
    "Batch",
    "BatchCounts",
    "Bill",
    "BillAction",
    "BillHead",
    "BillMail",
    "Customer",
    "CustomerOf",
    "CustomerPart",
    "DeadLetter",
    "DecidedAction",
    "Delivery",
    "Discarded",
    "DryRun",
    "FieldError",
    "FraudRule",
    "Health",
    "HeldPage",
    "InvitedUser",
    "Key",
    "Lead",
    "LeadCounts",
    "LeadProblem",
    "LeadSummary",
    "Mail",
    "MessageWritten",
    "MovedBill",
    "NewKey",
    "NewSecret",
    "NewWebhook",
    "Notified",
    "OpeningItem",
    "Page",
    "Partner",
    "PasswordLink",
    "Pause",
    "Payment",
    "Period",
    "PeriodToClose",
    "PossibleCorrection",
    "PreClose",
    "Product",
    "ProductPart",
    "Progress",
    "QuarantineProblem",
    "Quarantined",
    "Rate",
    "RateOf",
    "Readiness",
    "ReconciledRow",
    "Reconciliation",
    "Refund",
    "Reminder",
    "Report",
    "ReportFile",
    "ReportVersion",
    "Retried",
    "RetriedMails",
    "Return",
    "ReturnedAction",
    "RotatedKey",
    "Run",
    "RunDeadLetter",
    "RunStarted",
    "RunsRetried",
    "SchedulerHealth",
    "SchedulerStatus",
    "Seller",
    "Session",
    "Statement",
    "StuckPart",
    "Task",
    "TaskStarted",
    "Totals",
    "Usage",
    "User",
    "Webhook",
    "WhatIf",
    "Who",
    "Workers",
]
