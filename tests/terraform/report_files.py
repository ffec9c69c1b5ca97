"""Report files in the bucket of an installation, which stand in the way of deleting it."""

from tests.terraform.emulator import Emulator


def put_report_files(aws_api: Emulator, bucket: str) -> None:
    """Two versions of a file. moto heeds that the bucket's policy denies, but not that it means plain HTTP only."""
    s3 = aws_api.client("s3")
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=bucket)
    for body in (b"first", b"second"):
        s3.put_object(Bucket=bucket, Key="reports/one.csv", Body=body)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
