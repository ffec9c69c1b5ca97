"""The costs in terraform/README.md are reckoned right; the prices in them nobody can check without asking AWS."""

import pytest

from tests.terraform import costs

SIZES = ("smallest.tfvars", "production.tfvars")


@pytest.mark.parametrize("size", SIZES)
def test_each_row_is_its_products_and_the_month_is_all_rows(size: str) -> None:
    rows = costs.table(size)
    _, month = rows.pop("a month")
    assert len(rows) == 10
    assert {name: costs.reckoned(products) for name, (products, _) in rows.items()} == {
        name: result for name, (_, result) in rows.items()
    }
    assert sum(result for _, result in rows.values()) == month


def test_so_is_what_the_text_says() -> None:
    assert len(costs.in_prose()) == 3
    for products, result in costs.in_prose():
        assert costs.reckoned(products) == result, products
