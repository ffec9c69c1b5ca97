"""What a function asks of a row when it only reads columns: a record of the driver or a dict will do."""

from typing import Any, Protocol


class Row(Protocol):
    """Columns by name."""

    def __getitem__(self, column: str, /) -> Any:
        """The value of a column."""
