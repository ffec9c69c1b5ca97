"""The form that a caller asks for with Accept."""

import pytest

from api.negotiation import accepted

OFFERED = ("application/json", "text/csv", "text/markdown")


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("text/markdown; charset=utf-8", "text/markdown"),
        ("application/json, text/csv;q=0.1", "application/json"),
        ("application/json;q=0.1, text/csv; q=0.5", "text/csv"),
        ("text/csv;q=0, */*", "application/json"),
        ("application/json;q=0, */*;q=0.5", "text/csv"),
        ("text/*", "text/csv"),
        ("text/csv, */*", "text/csv"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("text/csv;q=0", None),
        ("application/pdf", None),
        ("*/*;q=0", None),
        ("text/csv;q=high", None),
        ("text/csv;q=nan", None),
        ("text/csvx", None),
    ],
)
def test_the_best_liked_form_is_taken(accept: str, wanted: str | None) -> None:
    assert accepted(accept, OFFERED) == wanted
