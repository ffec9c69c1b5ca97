"""What `leadger ingest` says of more leads in quarantine than it names."""

import pytest

from scripts.cli.ingest.command import print_counts
from scripts.cli.ingest.upload import Counts


def counts_of(quarantined: int) -> Counts:
    """One request of so many leads, all of them in quarantine, of which it names 800."""
    counts = Counts(accepted=quarantined, decided=quarantined)
    counts.leads["quarantined"] = quarantined
    counts.problems += [
        {"lead_id": f"{number}", "reason": "unknown_product", "detail": "there is none"} for number in range(800)
    ]
    return counts


def test_more_leads_in_quarantine_than_are_named_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """Failed before: 1,000 leads, it said."""
    total = Counts()
    total.add(counts_of(3000))
    total.add(counts_of(2000))
    assert (total.to_json()["problem_count"], len(total.to_json()["problems"])) == (5000, 1000)
    print_counts(total, 1.0)
    said = capsys.readouterr()
    assert "5,000 leads are in quarantine; of the first 1,000:\nunknown product: 1,000 leads in quarantine" in said.out


def test_where_all_are_named_nothing_is_said_of_first_ones(capsys: pytest.CaptureFixture[str]) -> None:
    total = Counts()
    total.add(counts_of(800))
    assert total.to_json()["problem_count"] == 800
    print_counts(total, 1.0)
    assert "first" not in capsys.readouterr().out
