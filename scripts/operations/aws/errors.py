"""What AWS refuses, as one message."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from scripts.errors import CannotStart


@contextmanager
def aws_errors_as_one_message(what: str) -> Iterator[None]:
    """Raise CannotStart with `what` could not be done and AWS's reason, where AWS refuses or does not answer."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise CannotStart(f"{what}: {' '.join(str(error).split()).rstrip('.')}.") from None
