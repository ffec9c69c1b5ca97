"""What Slack is told: one text for several bills, bounded, in which no name is markup."""

from typing import Any

from billing.webhooks.events import Event
from billing.webhooks.slack import text_of


def pending(number: int, name: str = "Acme", **fields: Any) -> tuple[str, dict[str, Any]]:
    data = {"bill_id": f"b{number}", "kind": "bill", "period": "2024-04", "currency": "EUR", "gross": "12.00"}
    return Event.BILL_PENDING, data | {"partner_name": name} | fields


def test_one_bill() -> None:
    assert text_of([pending(1, "<!channel> & |Co")], "https://leadger.example") == (
        "*A bill waits for approval*\n"
        "• <https://leadger.example/bills/b1|&lt;!channel&gt; &amp; ¦Co, bill of April 2024>: 12.00 EUR"
    )


def test_many_bills_and_a_run_are_one_text() -> None:
    run = {"processed": 25, "successful": 24, "failed": 1, "totals": {"EUR": "300.00"}}
    told = [*(pending(n, kind="credit_note") for n in range(25)), (Event.RUN_FINISHED, run)]
    lines = text_of(told, "https://leadger.example").split("\n")
    assert lines[0] == "*25 bills wait for approval*"
    assert lines[20] == "• <https://leadger.example/bills/b19|Acme, credit note of April 2024>: 12.00 EUR"
    assert lines[21:] == [
        "… and 5 more: https://leadger.example/dashboard",
        "*A billing run has finished*: 25 processed, 24 successful, 1 failed, 300.00 EUR",
    ]


def test_a_run_that_failed_says_why_and_marks_nothing_up() -> None:
    run = {"error": "A <b> & more", "processed": 0}
    told = "*A billing run has failed*: A &lt;b&gt; &amp; more, 0 processed"
    assert text_of([(Event.RUN_FINISHED, run)], "https://leadger.example") == told
