"""The masters that a load refers to: partners, their products, and customers who each belong to one partner."""

from dataclasses import dataclass


@dataclass(frozen=True)
class World:
    """How many of each there are; the names follow from the numbers, so any process can spell them."""

    partners: int = 10
    products_per_partner: int = 3
    customers: int = 10_000
    products: str = "product"
    """What the ids of products begin with."""

    def partner(self, number: int) -> str:
        """The id of a partner."""
        return f"partner-{number:04d}"

    def product(self, partner: int, number: int) -> str:
        """The id of a product of a partner."""
        return f"{self.products}-{partner:04d}-{number}"

    def customer(self, number: int) -> str:
        """The id of a customer."""
        return f"customer-{number:07d}"

    def email(self, number: int) -> str:
        """The e-mail of a customer."""
        return f"{self.customer(number)}@example.com"

    def partner_of(self, customer: int) -> int:
        """The partner whose products a customer is interested in."""
        return customer % self.partners
