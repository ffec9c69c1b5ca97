"""The plans as a table."""

from collections.abc import Collection, Sequence

from scripts.dev.bench.page import markdown
from scripts.dev.bench.plans.judgement import Judged


def plans_text(judged: Sequence[Judged], stored: int, asked: int, hot: Collection[str]) -> str:
    """One line for each statement on a hot path; of other paths what reads most, and what grows."""
    head = (
        f"{stored:,} actions stored; a batch of {asked:,} actions. In brackets: the same with a tenth of that stored. "
        "Of several calls, and of the plan for the parameters and the plan for any, the one that read most."
    )
    worst: dict[tuple[str, str], Judged] = {}
    for each in sorted(judged, key=_weight):
        worst[each.statement.path, each.statement.name] = each
    most = {path: each for (path, _), each in sorted(worst.items(), key=lambda item: _weight(item[1]))}
    rows = [["path", "statement", "calls", "node that read most", "rows read", "returned", "pages", "ms", "grows"]]
    # In the order in which they were run.
    for path, name in dict.fromkeys((each.statement.path, each.statement.name) for each in judged):
        each = worst[path, name]
        if path in hot or each.faults or each is most[path]:
            rows.append(_line(each))
    return f"{head}\n\n{markdown(rows)}"


def _weight(each: Judged) -> tuple[bool, int, int]:
    return bool(each.faults), each.many.read, each.many.pages


def _line(each: Judged) -> list[str]:
    few, many = each.few, each.many
    return [
        each.statement.path,
        f"`{each.statement.name}`",
        f"{each.calls}",
        f"{many.largest.node}{f' on {many.largest.table}' if many.largest.table else ''}",
        f"{many.read:,} ({few.read:,})" if few else f"{many.read:,}",
        f"{many.returned:,}",
        f"{many.pages:,} ({few.pages:,})" if few else f"{many.pages:,}",
        f"{many.taken_ms:.2f}",
        "**yes**: " + "; ".join(each.faults) if each.faults else each.bound or "no",
    ]
