"""An AWS emulator on a free port of this machine, until standard input ends: so it never outlives the test."""

import logging
import sys

from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from tests.terraform import moto_gaps


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto_gaps.fill()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)  # noqa: T201 - the one line that the test waits for
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
