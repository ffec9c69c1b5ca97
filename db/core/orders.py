"""Orders of lists."""

from enum import StrEnum


class Order(StrEnum):
    """What a list is sorted by: the name of a column, with a minus where the largest comes first."""

    @property
    def column(self) -> str:
        """What is sorted by."""
        return self.removeprefix("-")

    @property
    def direction(self) -> str:
        """The word of SQL."""
        return "DESC" if self.startswith("-") else "ASC"

    @property
    def following(self) -> str:
        """How what follows a place compares with it, in SQL."""
        return "<" if self.startswith("-") else ">"
