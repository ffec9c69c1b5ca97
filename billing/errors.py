"""Refusals of the domain. The message is for a person and says what to do.

BillingError
├── InvalidValue     a text that is not an amount, a period, an id …
│   └── CommentMissing
└── RuleViolation    a request that the rules refuse in the present state (answered with 409)
    └── TooManyWaiting   more of what takes long than somebody has at a time (answered with 429)
"""


class BillingError(Exception):
    """Something the rules of billing refuse."""


class InvalidValue(BillingError, ValueError):
    """A value that can never be right, whatever the state."""


class CommentMissing(InvalidValue):
    """An approval of a bill without the comment that it needs."""


class RuleViolation(BillingError):
    """A request that is well formed and refused in the present state."""


class TooManyWaiting(RuleViolation):
    """A request for more of what takes long, while what was asked for before has not ended."""
