"""SCRAM verifiers of Postgres passwords (RFC 5803), so that no statement contains a password."""

import hmac
import secrets
from base64 import b64encode
from hashlib import pbkdf2_hmac, sha256

_ITERATIONS = 4096
_SALT_BYTES = 16


def verifier_from_password(password: str, salt: bytes | None = None) -> str:
    """The verifier of an ASCII password, for `CREATE ROLE … PASSWORD`; it cannot be used to log in."""
    salt = salt or secrets.token_bytes(_SALT_BYTES)
    salted = pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    stored_key = sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${_ITERATIONS}:{_text(salt)}${_text(stored_key)}:{_text(server_key)}"


def _text(content: bytes) -> str:
    return b64encode(content).decode()
