"""What the tables do not say of themselves: groups, what one row is, and the words that need explaining."""

GROUPS = {
    "masters": {
        "partners": "a company that pays: its currency and how far it is closed",
        "partner_terms": "the terms of a partner from one period on",
        "partner_time_zones": "the time zone of a partner from one period on",
        "periods": "a calendar month of a partner, with its bounds as instants",
        "first_closed_periods": "the first closed period of a partner: reopening it leaves nothing closed",
        "products": "what leads are interested in; belongs to one partner for ever",
        "customers": "a person, known by e-mail",
        "customer_aliases": "another id of a person",
        "erased_customers": "a person who was erased, so that nobody takes what stands in the row for a name",
        "rates": "one rule of the rate card, in force or ended; empty conditions match everything",
        "rate_spans": "where a rule starts later or ends for one partner, because it had closed periods",
    },
    "path of a lead": {
        "inbox": "up to 500 leads or 5,000 actions of one request, and what became of them: the row is the job",
        "partly_decided": "a row of the inbox that is too large for one batch, and how many of its leads are decided",
        "claim_limits": "a partition of which fewer leads are claimed at a time, because a batch was lost",
        "leads": "one lead on record; its key is computed from (source, lead id)",
        "actions": "one action with its verdict; its key is computed from its identity (R3)",
        "winners": "an action that holds its duplicate key (R6)",
        "customer_states": "one customer of one partner: the row that batches lock",
        "customer_periods": "the totals of one customer in one billing period",
        "product_periods": "the totals of one product in one billing period, in shards that batches write side by side",
        "credits": "what is credited for a returned action of a closed period, once (R11)",
        "corrections": "a wrong action and the one that stands for it (R3)",
        "quarantine": "a lead that names what nobody has created, or conflicts with one on record (R12)",
        "dead_letters": "a lead that a fault keeps from being decided",
        "tallies": "a counter for the metrics, in shards",
        "pauses": "a time in which the workers decide nothing, and who wanted it",
    },
    "reports and tasks": {
        "billing_reports": "one version of the report of one partner and period",
        "billing_report_files": "a file of a version: where it is and its hash",
        "tasks": "work in the background, with its progress",
        "text_findings": "something stored by older rules of texts that a person may want to look at (R1)",
        "api_keys": "a key of a machine: only its hash is stored",
    },
    "bills and people": {
        "users": "somebody who signs in",
        "usage": "the API calls of one partner in one period",
        "bills": "the demand for payment for one period",
        "bill_actions": "who did what to a bill, and to which content",
    },
}
"""Every table, in groups, with what one row of it is."""

COLUMNS = {
    "actions.billing_period": "the period in which it is billed: its own, or a later one if it came late",
    "actions.duplicate_key": "partner, customer, product, type and level, as one UUID",
    "actions.occurrence": "counts identical actions of one lead, from 0",
    "actions.own_period": "the period of its instant",
    "actions.standing": "what people decided; the outcome follows from it",
    "api_keys.key_hash": "SHA-256 of 256 random bits",
    "bills.number": "given when it is issued; from then on nothing changes",
    "billing_reports.digest": "SHA-256 of the content; the same content makes no new version",
    "customer_periods.last_occurred_at": "later actions of the same version are judged without the earlier ones",
    "customer_states.policy_version": "the version of terms and rates that it was judged by",
    "claim_limits.begun_at": "a batch of it is under way; if nobody has the partition, it was lost",
    "claim_limits.lost": "batches lost that took a single lead",
    "erased_customers.remembered": "who it was, until the erasure has ended everywhere",
    "inbox.payload": "the leads, as JSON",
    "partners.closed_through": "the newest closed period; its verdicts are frozen",
    "partners.policy_version": "grows with every change of terms or rates",
    "partner_terms.cap_minor": "null: no cap",
    "rates.amount_minor": "null ends an override",
    "rates.ended_at": "from then on it counts in closed periods only",
    "rates.from_period": "it starts with this period of each partner",
    "rates.replaced_by": "the rule that took its place",
    "tasks.dedup_key": "unique among unfinished tasks of a kind",
    "tasks.error": "why the task failed",
    "tasks.last_error": "how the attempt ended that is to be repeated",
    "tasks.next_attempt_at": "null: at the next sweep",
    "tasks.parent_id": "the task that it is part of",
    "winners.slot": "which window of the key it holds",
    "winners.released_from": "the period from which a returned one no longer holds it",
}
"""Notes for single columns, by table and name."""

REFERENCES = {
    "leads_customer_id": ("leads", ["customer_id"], "customers", ["id"]),
    "leads_product_id_partner_id": ("leads", ["product_id", "partner_id"], "products", ["id", "partner_id"]),
    "actions_lead_id": ("actions", ["lead_id"], "leads", ["id"]),
    "customer_states_partner_id": ("customer_states", ["partner_id"], "partners", ["id"]),
    "customer_states_customer_id": ("customer_states", ["customer_id"], "customers", ["id"]),
}
"""References that triggers keep, once per statement, where foreign keys would (docs/decisions/0011)."""
