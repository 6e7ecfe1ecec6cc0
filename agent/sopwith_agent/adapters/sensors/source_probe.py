"""The program that connects to the source for `source_reach`: `source_probe.py HOST PORT SCHEME CA_FILE [PROXY]`.

Decides how each step (name, route, trust) is tried and timed, and prints one JSON object; what it means is
`source_reach`'s. It is a process of its own, started for each measurement, because a TLS handshake leaves three
megabytes of library state in a process that lives for months. Only the standard library is used, so that it starts in
a few hundredths of a second. PROXY is HOST PORT; what the proxy wants to be told stands in the environment.
"""

import json
import os
import socket
import ssl
import sys
import threading
import time
from typing import Any

DNS_SECONDS = 2.0
STEP_SECONDS = 2.5
ANSWER_MAX_BYTES = 8192


def main(host: str, port: str, scheme: str, ca_file: str, *proxy: str) -> None:
    """Print how far a connection came."""
    proxy_host, proxy_port = proxy or ("", "")
    found: dict[str, Any] = {}
    step = "dns"
    began = time.monotonic()
    try:
        addresses = _resolve(proxy_host or host, int(proxy_port or port))
        found["dns_milliseconds"] = _since(began)
        step, began = "tcp", time.monotonic()
        with _connect(addresses) as connection:
            found["tcp_milliseconds"] = _since(began)
            if proxy_host:
                step = "proxy"
                _ask_for_tunnel(connection, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
            if scheme == "https":
                step, began = "tls", time.monotonic()
                context = ssl.create_default_context(cafile=ca_file or None)
                connection.settimeout(STEP_SECONDS)
                with context.wrap_socket(connection, server_hostname=host):
                    found["tls_milliseconds"] = _since(began)
    except ssl.SSLCertVerificationError as error:
        text = f"its certificate is not trusted here ({error.verify_message}); a captive portal answers like this"
        found |= {"failed_at": step, "failure": text}
    except (OSError, UnicodeError) as error:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        found |= {"failed_at": step, "failure": text}
    os.write(sys.stdout.fileno(), json.dumps(found).encode())


def _resolve(host: str, port: int) -> list[Any]:
    """Ask the resolver, which knows no time limit, in a thread that is left behind when time is up."""
    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(DNS_SECONDS)
    if not answers:
        raise TimeoutError(f"no answer within {DNS_SECONDS:g} s")
    if isinstance(answers[0], Exception):
        raise answers[0]
    return list(answers[0])


def _connect(addresses: list[Any]) -> socket.socket:
    """Try the addresses in the resolver's order, all within one step's time."""
    deadline = time.monotonic() + STEP_SECONDS
    failure: OSError = OSError("no address")
    for family, kind, protocol, _, address in addresses:
        rest = deadline - time.monotonic()
        if rest <= 0:
            break
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(rest)
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def _ask_for_tunnel(connection: socket.socket, target: str) -> None:
    """Have the proxy connect to the source; raise OSError with its answer when it does not."""
    deadline = time.monotonic() + STEP_SECONDS
    connection.settimeout(STEP_SECONDS)
    told = os.environ.get("SOPWITH_PROXY_HEADERS", "")
    connection.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{told}\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(1)  # not a byte of what follows the answer
        if not piece or len(answer) > ANSWER_MAX_BYTES or time.monotonic() > deadline:
            raise ConnectionError("it gives no answer to a request for a tunnel")
        answer += piece
    status = answer.split(b"\r\n", 1)[0].decode("latin-1")
    if status.split(" ")[1:2] != ["200"]:
        raise ConnectionError(f"it refuses a tunnel: {status}")


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # a resolver that still waits must not hold the process
