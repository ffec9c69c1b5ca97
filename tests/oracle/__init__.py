"""The independent oracle: a second, simple model of the billing rules sharing no code with the product."""

from tests.oracle.model import ActionId, ActionRef, Credit, LeadId, Outcome, Totals, Verdict
from tests.oracle.oracle import Oracle
from tests.oracle.terms import KEEP, CapScope, Keep, Window
from tests.oracle.values import Refused

__all__ = [
    "KEEP",
    "ActionId",
    "ActionRef",
    "CapScope",
    "Credit",
    "Keep",
    "LeadId",
    "Oracle",
    "Outcome",
    "Refused",
    "Totals",
    "Verdict",
    "Window",
]
