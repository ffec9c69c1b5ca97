"""All fraud rules, in the order in which they are shown."""

from billing.fraud import (
    customer_burst,
    disposable_domain,
    duplicate_rate,
    impossible_instants,
    mailbox_family,
    many_partners,
    night_only,
    regular_intervals,
    source_burst,
    test_row,
)

RULES = {
    each.RULE.name: each.RULE
    for each in (
        customer_burst,
        source_burst,
        regular_intervals,
        impossible_instants,
        disposable_domain,
        many_partners,
        mailbox_family,
        duplicate_rate,
        night_only,
        test_row,
    )
}
