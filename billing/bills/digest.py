"""Digest and seal of a bill (B4): SHA-256 over canonical JSON, so that anybody can compute them from its file."""

from hashlib import sha256

from billing.bills.canonical_json import Json, canonical_json
from billing.bills.issue_wire import json_from_issue
from billing.bills.values import Content, Issue
from billing.bills.wire import json_from_content


def digest_of(content: Content) -> str:
    """What everybody names who moves the bill: 64 hexadecimal digits."""
    return digest_of_text(text_of(content))


def seal_of(content: Content, issue: Issue) -> str:
    """What proves an issued bill: its content and what it got when it was issued."""
    return seal_of_texts(text_of(content), text_of_issue(content, issue))


def text_of(content: Content) -> str:
    """The canonical JSON of a content, which takes longer than its digest."""
    return canonical_json(json_from_content(content)).decode()


def text_of_issue(content: Content, issue: Issue) -> str:
    """The canonical JSON of what a bill gets when it is issued."""
    return canonical_json(json_from_issue(content, issue)).decode()


def digest_of_text(content: str) -> str:
    """The digest of a content, given as its canonical JSON."""
    return sha256(content.encode()).hexdigest()


def seal_of_texts(content: str, issue: str) -> str:
    """The seal of a bill, given as the canonical JSON of its parts: that of both is made of them."""
    return sha256(f'{{"bill":{content},"issue":{issue}}}'.encode()).hexdigest()


def document_from_bill(content: Content, issue: Issue) -> dict[str, Json]:
    """The JSON file of an issued bill: all that is sealed, with the digest and the seal."""
    sealed: dict[str, Json] = {"bill": json_from_content(content), "issue": json_from_issue(content, issue)}
    return {**sealed, "digest": digest_of(content), "seal": seal_of(content, issue)}
