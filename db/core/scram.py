"""Passwords of Postgres logins as the server keeps them (RFC 5803), so that none ever stands in a statement."""

import hmac
import secrets
from base64 import b64encode
from hashlib import pbkdf2_hmac, sha256

_ITERATIONS = 4096
_SALT_BYTES = 16


def verifier_from_password(password: str, salt: bytes | None = None) -> str:
    """What `CREATE ROLE … PASSWORD` takes instead of a password of ASCII characters; it opens nothing by itself."""
    salt = salt or secrets.token_bytes(_SALT_BYTES)
    salted = pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    stored_key = sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${_ITERATIONS}:{_text(salt)}${_text(stored_key)}:{_text(server_key)}"


def _text(content: bytes) -> str:
    return b64encode(content).decode()
