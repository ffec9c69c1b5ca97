"""One secret in AWS Secrets Manager."""

from contextlib import AbstractContextManager

from botocore.config import Config
from botocore.session import Session

from scripts.errors import CannotStart
from scripts.operations.aws.errors import aws_errors_as_one_message

_QUICK = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})


class Secret:
    """A secret by its ARN, which also says in which region it is; it may have no value yet."""

    def __init__(self, arn: str) -> None:
        self.arn = arn
        parts = arn.split(":")
        with self._one_message("reached"):
            if len(parts) < 6:
                raise CannotStart(f"LEADGER_APPLICATION_LOGIN_SECRET_ARN is no ARN of a secret: {arn!r}.")
            self._client = Session().create_client("secretsmanager", region_name=parts[3], config=_QUICK)

    def read(self) -> str | None:
        """Its value; None if it has none yet. Raises CannotStart if there is no such secret, or no way to it."""
        with self._one_message("read"):
            try:
                value: str = self._client.get_secret_value(SecretId=self.arn)["SecretString"]
            except self._client.exceptions.ResourceNotFoundException:
                # The same answer for a secret without a value and for one that does not exist: the latter fails here.
                self._client.describe_secret(SecretId=self.arn)
                return None
            return value

    def write(self, value: str) -> None:
        """Give it another value."""
        with self._one_message("written"):
            self._client.put_secret_value(SecretId=self.arn, SecretString=value)

    def _one_message(self, verb: str) -> AbstractContextManager[None]:
        return aws_errors_as_one_message(f"The secret {self.arn} cannot be {verb}")
