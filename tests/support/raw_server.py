"""A server that answers with whatever bytes a test hands it, or not at all."""

import socket
import threading
from collections.abc import Callable
from typing import Self

Answer = Callable[[socket.socket, bytes], None]


class RawServer:
    """Reads one whole request a connection, lets `answer` do with it, hangs up."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[bytes] = []

    def __enter__(self) -> Self:
        self._accepting = threading.Thread(target=self._serve, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # Else `accept` goes on after `close`.
        self._listener.close()
        self._accepting.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=[connection], daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            request = _whole_request(connection)
            self.requests.append(request)
            self._answer(connection, request)


def answering(status: str, body: bytes, *headers: str) -> Answer:
    """Answer every request with the same bytes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    whole = "\r\n".join([*lines, "", ""]).encode() + body
    return lambda connection, _: connection.sendall(whole)


def _whole_request(connection: socket.socket) -> bytes:
    read = b""
    while b"\r\n\r\n" not in read:
        piece = connection.recv(65_536)
        if not piece:
            return read
        read += piece
    head, _, body = read.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.splitlines()
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body
