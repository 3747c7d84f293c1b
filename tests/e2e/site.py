"""One site: an HTTP server in a process of its own, so that killing and freezing it are the real thing.

    site.py PORT ADDRESS...

Listens on every address at PORT (0: a free one, the same for all) and says `port N`, or `taken`.
Then it obeys lines on stdin and says `done` once each is in force:

    ok            200, body "OK"
    status N      status N
    fail N        status 503 to the next N requests, as before to those after them
    body TEXT     200, body TEXT
    slow SECONDS  200 after that long
    close         no longer listens: connections are refused
    open          listens again
    count         says `count N`, the requests that came so far

To be led sample by sample instead, by the path that is asked for:

    gate SECONDS  from now on a request waits for what is pushed for its path, at most that long; then it
                  is answered as the last one was, or with status 200
    push PATH N   status N to one request
    drain PATH    says `done` once everything pushed for PATH has been answered

It ends with its stdin, so that no site outlives its test.
"""

import collections
import select
import socket
import sys
import threading
import time

BACKLOG = 128
MAX_HEAD = 16 * 1024
PATIENCE = 30.0
LOOK_EVERY = 0.02


class Site:
    def __init__(self, port, addresses):
        self.port = port
        self.addresses = addresses
        self.listeners = []
        self.answer = (200, "OK", 0.0)
        self.count = 0
        self.failures_due = 0
        self.gate = None
        self.pushed = collections.defaultdict(collections.deque)
        self.last = {}
        self.changed = threading.Condition()

    def open(self):
        for address in self.addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, self.port))
            self.port = listener.getsockname()[1]
            listener.listen(BACKLOG)
            self.listeners.append(listener)
            threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def close(self):
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the accept that is under way
            listener.close()
        self.listeners = []

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                head = b""
                while b"\r\n\r\n" not in head and len(head) < MAX_HEAD:
                    more = connection.recv(4096)
                    if not more:
                        return
                    head += more
                status, body, delay = self.next_answer(head, connection)
                time.sleep(delay)
                connection.sendall(
                    f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
                )
            except OSError:
                pass  # the prober hung up first

    def next_answer(self, head, connection):
        with self.changed:
            self.count += 1
            if self.gate is not None:
                return self.gated(head.split(b" ")[1].decode(), connection)
            if self.failures_due == 0:
                return self.answer
            self.failures_due -= 1
            return (503, "", 0.0)

    def gated(self, path, connection):
        queue = self.pushed[path]
        deadline = time.monotonic() + self.gate
        while not queue and time.monotonic() < deadline:
            self.changed.wait(LOOK_EVERY)
            if hung_up(connection):
                raise OSError("what is pushed is for the next one")
        if queue:
            self.last[path] = queue.popleft()
            self.changed.notify_all()
        status = self.last.get(path, 200)
        return (status, "OK" if status == 200 else "", 0.0)

    def obey(self, line):
        word, _, rest = line.partition(" ")
        if word == "ok":
            self.answer = (200, "OK", 0.0)
        elif word == "status":
            self.answer = (int(rest), "", 0.0)
        elif word == "fail":
            with self.changed:
                self.failures_due = int(rest)
        elif word == "body":
            self.answer = (200, rest, 0.0)
        elif word == "slow":
            self.answer = (200, "OK", float(rest))
        elif word == "close":
            self.close()
        elif word == "open":
            self.open()
        elif word == "gate":
            self.gate = float(rest)
        elif word == "push":
            path, _, status = rest.partition(" ")
            with self.changed:
                self.pushed[path].append(int(status))
                self.changed.notify_all()
        elif word == "drain":
            with self.changed:
                self.changed.wait_for(lambda: not self.pushed[rest], PATIENCE)
        elif word == "count":
            return f"count {self.count}"
        else:
            return f"unknown: {line}"
        return "done"


def hung_up(connection):
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""


def main():
    site = Site(int(sys.argv[1]), sys.argv[2:])
    try:
        site.open()
    except OSError:
        print("taken", flush=True)
        return
    print(f"port {site.port}", flush=True)
    for line in sys.stdin:
        print(site.obey(line.rstrip("\n")), flush=True)


main()
