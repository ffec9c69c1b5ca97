"""The roles of people (P1): a person has one of them or none."""

from enum import StrEnum


class Role(StrEnum):
    """What a person is here for. Only the partner's own people have the role partner."""

    ADMIN = "admin"
    FINANCE = "finance"
    CUSTOMER_SUCCESS = "customer_success"
    SALES = "sales"
    PARTNER = "partner"
