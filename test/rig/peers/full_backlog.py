"""Listens with a backlog of zero, prints the port, and never accepts."""

import signal
import socket

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(0)
print(listener.getsockname()[1], flush=True)
signal.pause()
