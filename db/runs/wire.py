"""A run as the API and the functions for Python tell it: amounts are decimal strings, periods like "2024-04"."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from billing.money import amount_from_minor
from billing.periods import text_from_period
from db.runs import records
from db.runs.records import Figures, Item, Run

MOST_ERRORS = 100


async def runs_out(
    connection: asyncpg.Connection, runs: Sequence[Run], results: Sequence[Item] = ()
) -> list[dict[str, Any]]:
    """Runs with their figures and first errors, and one with what became of some partners' periods."""
    figures = await records.figures(connection, [run.id for run in runs])
    out = []
    for run in runs:
        failing = await records.failing(connection, run.id, MOST_ERRORS) if figures[run.id].failing else []
        out.append(_run_out(run, figures[run.id], results, failing))
    return out


def _run_out(run: Run, figures: Figures, items: Sequence[Item], failing: Sequence[Item]) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "state": run.state,
        "trigger": run.asked.trigger,
        "trigger_source": run.asked.source,
        "period": text_from_period(run.asked.period) if run.asked.period else None,
        "dry_run": run.asked.dry_run,
        "started_by": {"kind": run.who.kind.value, "name": run.who.name},
        "started_at": run.started_at,
        "completed_at": run.completed_at,
        "error": run.error,
        "progress": {"done": figures.processed, "total": figures.total},
        "processed": figures.processed,
        **{outcome.value: count for outcome, count in figures.ended.items()},
        "totals": {currency: amount_from_minor(minor) for currency, minor in figures.gross_minor.items()},
        "results": [result_out(item) for item in items],
        "errors": [
            {"partner": each.partner, "period": text_from_period(each.period), "error": each.error} for each in failing
        ],
        "errors_left_out": figures.failing - len(failing),
    }


def result_out(item: Item) -> dict[str, Any]:
    """What became of a partner's period; the run's totals are the sums of `gross`.

    `state` is that of the bill, or the outcome where there is none.
    """
    assert item.outcome is not None
    return {
        "partner": item.partner,
        "period": text_from_period(item.period),
        "outcome": item.outcome.value,
        "state": item.bill_state or item.outcome.value,
        "bill": item.bill_id,
        "currency": item.currency,
        "gross": None if item.gross_minor is None else amount_from_minor(item.gross_minor),
        "total": None if item.gross_minor is None else amount_from_minor(max(0, item.gross_minor)),
        "note": item.note,
    }
