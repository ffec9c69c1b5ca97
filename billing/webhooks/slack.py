"""What Slack is told, as the text of one message."""

from collections.abc import Mapping, Sequence
from typing import Any

from billing.periods import name_of_period, period_from_text
from billing.webhooks.events import Event

_MOST_LINES = 20


def text_of(messages: Sequence[tuple[str, Mapping[str, Any]]], base_url: str) -> str:
    """One text for messages, each an event with its data: bills that wait, at most 20 of them, then runs."""
    pending = [data for event, data in messages if event == Event.BILL_PENDING]
    lines = []
    if pending:
        lines = [f"*{'A bill waits' if len(pending) == 1 else f'{len(pending)} bills wait'} for approval*"]
        lines += [_bill(data, base_url) for data in pending[:_MOST_LINES]]
        if len(pending) > _MOST_LINES:
            lines.append(f"… and {len(pending) - _MOST_LINES} more: {base_url}/dashboard")
    return "\n".join([*lines, *(_run(data) for event, data in messages if event == Event.RUN_FINISHED)])


def _bill(data: Mapping[str, Any], base_url: str) -> str:
    what = "credit note" if data["kind"] == "credit_note" else "bill"
    month = name_of_period(period_from_text(data["period"]))
    link = f"<{base_url}/bills/{data['bill_id']}|{_escaped(data['partner_name'])}, {what} of {month}>"
    return f"• {link}: {data['gross']} {data['currency']}"


def _run(data: Mapping[str, Any]) -> str:
    """A run by its error and its counts, as far as it has them."""
    counts = ", ".join(
        f"{data[name]} {name}" for name in ("processed", "successful", "failed", "skipped", "waiting") if name in data
    )
    totals = ", ".join(f"{amount} {currency}" for currency, amount in data.get("totals", {}).items())
    ended = "failed" if data.get("error") else "finished"
    error = _escaped(data.get("error") or "")
    return f"*A billing run has {ended}*: {', '.join(filter(None, (error, counts, totals)))}"


def _escaped(text: str) -> str:
    """A text in which nothing is markup of Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "¦")
