"""The metrics of /metrics: business figures from Postgres, and figures of this process."""

from collections.abc import Iterable, Mapping

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from db.telemetry.business_figures import Figures

REFUSALS = ("rate", "share", "full", "body_bytes", "sign_in")
"""Why a request is answered 429: its key exceeds its rate or fair share, the inbox is full, passwords were wrong …"""

DEPRECATED = ("leadger_doorbell_failures",)
"""The former name of `leadger_notification_failures`, which goes with release 0.3."""


def registry_with(figures: Figures, notification_failures: int, refused: Mapping[str, int]) -> CollectorRegistry:
    """A registry of the given figures and of the process's own metrics; `refused` counts requests by reason."""
    registry = CollectorRegistry()
    registry.register(_Collected([*_business_families(figures), *_process_families(notification_failures, refused)]))
    registry.register(_Collected(list(REGISTRY.collect())))
    return registry


class _Collected:
    """A collector of metrics that were collected before."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _business_families(figures: Figures) -> Iterable[Metric]:
    leads = CounterMetricFamily("leadger_leads", "Accepted leads by what became of them", labels=["state"])
    for state, count in figures.leads.items():
        leads.add_metric([state], count)
    yield leads
    yield CounterMetricFamily("leadger_leads_accepted", "Leads that were accepted", value=figures.accepted)
    actions = GaugeMetricFamily("leadger_actions", "Actions on record by outcome", labels=["outcome"])
    for outcome, count in figures.actions.items():
        actions.add_metric([outcome], count)
    yield actions
    money = GaugeMetricFamily("leadger_money_minor", "Money on record in minor units", labels=["currency", "kind"])
    for (currency, kind), minor in figures.money_minor.items():
        money.add_metric([currency, kind], minor)
    yield money
    yield GaugeMetricFamily(
        "leadger_inbox_waiting_leads", "Leads that wait, 100,000 rows of the inbox at most", value=figures.waiting
    )
    yield GaugeMetricFamily("leadger_inbox_oldest_seconds", "Age of the oldest waiting lead", value=figures.oldest_s)
    yield GaugeMetricFamily("leadger_workers_paused_seconds", "How long the pause is in force", value=figures.paused_s)
    yield GaugeMetricFamily(
        "leadger_last_sweep_timestamp_seconds",
        "When a worker last ran the sweep that beat schedules; 0: never",
        value=figures.swept_at_s,
    )
    yield GaugeMetricFamily(
        "leadger_quarantined_leads", "Leads in quarantine, at most 100,000", value=figures.quarantined
    )
    yield GaugeMetricFamily("leadger_dead_letters", "Dead letters", value=figures.dead_letters)
    handed = CounterMetricFamily(
        "leadger_mails", "Addresses that mail about bills was sent to, or bounced at", labels=["state"]
    )
    for state in ("sent", "bounced"):
        handed.add_metric([state], figures.mails[state])
    yield handed
    yield GaugeMetricFamily(
        "leadger_mails_waiting", "Addresses that mail about bills waits for", value=figures.mails["waiting"]
    )
    yield GaugeMetricFamily(
        "leadger_mails_given_up", "Addresses at which mail was put off for too long", value=figures.mails["given_up"]
    )
    yield GaugeMetricFamily(
        "leadger_mails_oldest_seconds", "For how long the oldest waiting mail is tried", value=figures.mails_oldest_s
    )
    yield GaugeMetricFamily("leadger_tasks_unfinished", "Background tasks not finished", value=figures.tasks)
    yield CounterMetricFamily(
        "leadger_task_failures", "Tasks of workers that ended with an unexpected error", value=figures.task_failures
    )
    yield GaugeMetricFamily(
        "leadger_invariant_violations",
        "Counters that did not add up at the last check",
        value=figures.violations,
    )
    yield GaugeMetricFamily(
        "leadger_proof_differences",
        "Bills and accounts whose last proof found a difference",
        value=figures.proof_differences,
    )
    yield GaugeMetricFamily(
        "leadger_proof_oldest_seconds",
        "How long ago the oldest proof of a bill or an account was; since the issue, if none was made",
        value=figures.proof_oldest_s,
    )
    batches = CounterMetricFamily("leadger_batches", "Worker transactions that decided leads", value=figures.batches)
    yield batches
    yield CounterMetricFamily(
        "leadger_batch_seconds", "Time spent in worker transactions", value=figures.batch_us / 1_000_000
    )
    yield CounterMetricFamily("leadger_billing_runs", "Runs of the monthly billing that ended", value=figures.runs)
    yield CounterMetricFamily("leadger_billing_runs_failed", "Runs that failed as a whole", value=figures.runs_failed)
    yield CounterMetricFamily(
        "leadger_billing_run_seconds", "Time from the start of runs to their end", value=figures.run_us / 1_000_000
    )
    items = CounterMetricFamily(
        "leadger_billing_run_items", "Months of partners in runs that ended, by what became of them", labels=["outcome"]
    )
    for outcome, count in figures.run_items.items():
        items.add_metric([outcome], count)
    yield items
    yield GaugeMetricFamily(
        "leadger_billing_run_dead_letters",
        "Months of partners that runs could not bill",
        value=figures.run_dead_letters,
    )
    yield GaugeMetricFamily(
        "leadger_billing_last_look_timestamp_seconds",
        "When it was last looked for months to bill; 0: never",
        value=figures.looked_at_s,
    )
    sent = CounterMetricFamily("leadger_webhook_attempts", "Messages sent to webhooks, by result", labels=["result"])
    for result, count in figures.deliveries.items():
        sent.add_metric([result], count)
    yield sent
    yield GaugeMetricFamily(
        "leadger_webhook_messages_waiting",
        "Messages that wait for webhooks, at most 100,000",
        value=figures.deliveries_waiting,
    )
    yield GaugeMetricFamily(
        "leadger_webhook_overdue_seconds",
        "How long the oldest message for a webhook could have been sent",
        value=figures.delivery_oldest_s,
    )
    yield GaugeMetricFamily(
        "leadger_webhooks_disabled", "Webhooks that failed for too long", value=figures.webhooks_disabled
    )


def _process_families(notification_failures: int, refused: Mapping[str, int]) -> Iterable[Metric]:
    for name in ("leadger_notification_failures", *DEPRECATED):
        yield CounterMetricFamily(name, "Messages this process could not send", value=notification_failures)
    requests = CounterMetricFamily(
        "leadger_requests_refused", "Requests this process answered 429, by why", labels=["reason"]
    )
    for reason in REFUSALS:
        requests.add_metric([reason], refused.get(reason, 0))
    yield requests
