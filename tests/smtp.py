"""As much of a mail server as a sender needs, for tests: it keeps what it takes, and refuses whom it is told to."""

import email
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default

_ADDRESS = re.compile(rb"<(.*)>")


@dataclass(slots=True)
class MailServer:
    """A server at `url`; `answers` are what it says to recipients and, under "DATA", to a mail: 250 by default.

    `received` has each mail with the addresses that it was taken for.
    """

    url: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    received: list[tuple[EmailMessage, list[str]]] = field(default_factory=list)


def mail_from(content: bytes) -> EmailMessage:
    """A mail as it was sent, or as it lies in the outbox."""
    message = email.message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """A mail server until the end of the block."""
    known = MailServer()

    class Conversation(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220")
            to: list[str] = []
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    self._say("354")
                    content = b"".join(iter(self.rfile.readline, b".\r\n"))
                    answer = known.answers.get("DATA", "250")
                    if answer == "250":
                        known.received.append((mail_from(content), to))
                    self._say(answer)
                elif verb == b"QUIT":
                    self._say("221")
                    return
                elif verb == b"RCPT" and (found := _ADDRESS.search(line)):
                    address = found[1].decode()
                    answer = known.answers.get(address, "250")
                    to += [address] if answer == "250" else []
                    self._say(answer)
                    if answer.startswith("421"):
                        return
                else:
                    self._say("250")

        def _say(self, answer: str) -> None:
            self.wfile.write(f"{answer} \r\n".encode() if " " not in answer else f"{answer}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation) as server:
        known.url = f"smtp://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield known
        finally:
            server.shutdown()
            thread.join()
