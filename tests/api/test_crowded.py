"""Bodies that hold more values than leads of their size can are refused before they are decoded."""

import time
from typing import Any

import msgspec
import pytest

from api.problems import Problem
from api.schemas.crowded import refuse_crowded

_SHORTEST: dict[str, Any] = {
    "lead_id": "a",
    "customer_id": "b",
    "product_id": "c",
    "lead_type": "d",
    "actions": [{"action_type": "e", "timestamp": "2024-04-01T00:00:00Z", "engagement_level": "Low"}],
}


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"[" + b"{}," * 5_000_000 + b"{}]", "A request may hold 10000 leads at most; this one holds more."),
        (b"[" + b"1," * 7_000_000 + b"1]", "A request may hold 10000 leads at most; this one holds more."),
        (b"  [" + b'"",' * 4_000_000 + b"1]", "A request may hold 10000 leads at most; this one holds more."),
        (b'{"actions":[' + b"{}," * 500_000 + b"1]}", "The body holds more values than leads of its size can have."),
        (
            b"{" + b",".join(b'"%07d":1' % n for n in range(500_000)) + b"}",
            "The body holds more values than leads of its size can have.",
        ),
        (b'[{"a":[' + b"[]," * 500_000 + b"1]}]", "The body holds more values than leads of its size can have."),
    ],
    ids=range(6),
)
def test_a_crowded_body_is_refused(body: bytes, detail: str) -> None:
    with pytest.raises(Problem) as refusal:
        refuse_crowded(body, 10_000)
    assert (refusal.value.status_code, refusal.value.detail) == (413, detail)


@pytest.mark.parametrize(
    "body",
    [
        msgspec.json.encode([_SHORTEST] * 10_000),
        msgspec.json.encode(_SHORTEST | {"actions": _SHORTEST["actions"] * 1_000}),
        msgspec.json.encode([_SHORTEST | {"lead_type": ",{[" * 60}] * 1_000),
        msgspec.json.encode([_SHORTEST | {"lead_type": '\\"],[' * 40}] * 1_000),
        b"[" * 1_000_000,
    ],
    ids=range(5),
)
def test_whatever_can_be_leads_goes_on_to_the_decoder(body: bytes) -> None:
    refuse_crowded(body, 10_000)


def test_a_text_that_never_ends_is_looked_at_once() -> None:
    started = time.perf_counter()
    refuse_crowded(b"[" + b'"' + b'\\",{' * 500_000, 10_000)
    assert time.perf_counter() - started < 5
