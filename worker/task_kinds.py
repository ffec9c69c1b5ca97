"""Every kind of background task."""

from db.access import forgotten_passwords as access_forgotten_passwords
from db.bills import creation as bill_creation
from db.bills import replay as bill_replay
from db.bills.files import stored as stored_bills
from db.bills.mail import composing as bill_mail
from db.bills.mail import reminders as bill_reminders
from db.fraud import screening
from db.intake import closing_request
from db.intake import quarantine as quarantined_leads
from db.ledger import rate_preview as ledger_rate_preview
from db.ledger import rebuild as ledger_rebuild
from db.ledger import reevaluation as ledger_reevaluation
from db.ledger import text_rules as ledger_text_rules
from db.ledger import what_if as ledger_what_if
from db.privacy import erased_names as privacy
from db.reports import reconciliation as reports_reconciliation
from db.runs import differences as run_differences
from db.runs import records as billing_runs
from worker.runner import Kind, Runner
from worker.tasks import (
    bills,
    closing,
    commit_status,
    erasure,
    forgotten_passwords,
    fraud,
    mail,
    quarantine,
    rate_preview,
    rebuilding,
    reconciliation,
    reevaluation,
    reminders,
    runs,
    text_rules,
    what_if,
)

RUNNER = Runner(
    [
        Kind(closing_request.KIND, closing.close),
        Kind(bill_creation.KIND, bills.make_bill),
        Kind(bill_replay.KIND, bills.replay_bill),
        Kind(stored_bills.MAKE, bills.make_files, max_failures=5),
        Kind(bill_mail.TASK, mail.send_mail, max_failures=5, longest_delay_s=900.0),
        Kind(bill_reminders.KIND, reminders.remind_now, max_failures=5),
        Kind(billing_runs.KIND, runs.run_billing, max_failures=5, when_failed=runs.end_failed),
        Kind(billing_runs.PORTION, runs.bill_portion),
        Kind(billing_runs.REPORT_TO_GITHUB, commit_status.report_to_github),
        Kind(run_differences.KIND, runs.explain_difference),
        Kind(ledger_reevaluation.KIND, reevaluation.reevaluate_stale),
        Kind(ledger_reevaluation.FORMER_KIND, reevaluation.reevaluate_partners),
        Kind(ledger_rebuild.KIND, rebuilding.rebuild),
        Kind(ledger_rate_preview.KIND, rate_preview.preview_rate),
        Kind(reports_reconciliation.KIND, reconciliation.reconcile),
        Kind(ledger_what_if.KIND, what_if.look),
        Kind(rebuilding.SUBTASK, rebuilding.judge_customers),
        Kind(rebuilding.FORMER_SUBTASK, rebuilding.judge_customers),
        Kind(quarantined_leads.RETRY, quarantine.retry_quarantined),
        Kind(privacy.KIND, erasure.erase),
        Kind(screening.KIND, fraud.screen_fraud),
        Kind(access_forgotten_passwords.KIND, forgotten_passwords.mail_password_link),
        Kind(ledger_text_rules.KIND, text_rules.apply_text_rules, max_failures=5),
    ]
)
