"""A server of S3 for tests of what is kept in a bucket."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from scripts.local.embedded.ports import free_port

_REGION = "eu-central-1"


@contextmanager
def bucket_in_s3(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[str]:
    """An empty bucket that this process finds by its environment until the end of the block."""
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    for variable, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": _REGION,
    }.items():
        monkeypatch.setenv(variable, value)
    s3fs.S3FileSystem.clear_instance_cache()  # it would go on to ask the server of the test before
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": _REGION})
    try:
        yield name
    finally:
        for found in s3.list_objects(Bucket=name).get("Contents", []):
            s3.delete_object(Bucket=name, Key=found["Key"])
        s3.delete_bucket(Bucket=name)
        server.stop()
