"""The oracle's row keys, which it computes by itself, against those of the product."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from billing.identity import microseconds
from db.core import row_keys
from tests.oracle import keys
from tests.oracle.values import plain_id

own_ids = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=200)
uuids = st.uuids().map(str) | st.uuids().map(lambda each: str(each).upper())
almost_uuids = st.uuids().map(lambda each: each.hex) | st.uuids().map(lambda each: f"{{{each}}}")
ids = own_ids | uuids | almost_uuids
texts = st.text(min_size=1, max_size=30).map(str.casefold)
instants = st.datetimes(datetime(1901, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(ids)
def test_r1_partners_products_and_customers_have_the_products_keys(external_id: str) -> None:
    assert keys.row_key(keys.PARTNERS, external_id) == row_keys.partner_uuid(external_id)
    assert keys.row_key(keys.PRODUCTS, external_id) == row_keys.product_uuid(external_id)
    assert keys.row_key(keys.CUSTOMERS, external_id) == row_keys.customer_uuid(external_id)


@given(st.just("") | ids, ids)
def test_r1_leads_have_the_products_keys(source: str, lead_id: str) -> None:
    assert keys.lead_key(source, lead_id) == row_keys.lead_uuid(source, lead_id)


@given(st.uuids(), texts, texts, instants, st.integers(1, 1000))
def test_r3_actions_have_the_products_keys(
    lead: UUID, action_type: str, level: str, instant: datetime, occurrence: int
) -> None:
    found = keys.action_key(lead, action_type, level, instant, occurrence)
    at_us = microseconds(instant)
    assert found == row_keys.action_uuid(lead, action_type, level, at_us, occurrence - 1)


@given(st.uuids(), ids)
def test_r3_actions_with_ids_of_their_own_have_the_products_keys(lead: UUID, own_id: str) -> None:
    assert keys.own_action_key(lead, plain_id(own_id)) == row_keys.ROW_KEYS.own_action(lead, own_id)
