"""A warm process that starts Greenroom's commands: `python -m tests.starter FD`, told on the socket of that number.

Importing the whole of it takes longer than most commands. Each command runs in a fork of this process, which has imported
everything and done nothing. Told `{"argv": […], "cwd": …, "environment": {…}}` and three open files (standard input,
output and error), it answers the new process's id; told `{"ended": pid}` of one that has ended, its exit code.
"""

import asyncio
import atexit
import ctypes
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
LONGEST_ORDER = 1 << 20


class Command:
    """A command that was started, as far as asyncio's own processes are like it."""

    def __init__(self, starter: "Starter", pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._starter = starter
        self._handle = os.pidfd_open(pid)

    async def wait(self) -> int:
        """Its exit code, once it has ended; the negated number of the signal that ended it."""
        if self.returncode is None:
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.add_reader(self._handle, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(self._handle)
            if self.returncode is None:  # another one may have waited, too
                self.returncode = self._starter.ask({"ended": self.pid})
                os.close(self._handle)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Raises ProcessLookupError once it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        signal.pidfd_send_signal(self._handle, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class Starter:
    """The way to the warm process; it ends with this one."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 -- our own words
                [sys.executable, "-m", "tests.starter", str(theirs.fileno())],
                cwd=folder,
                env={**environment},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.close)

    def start(self, order: Mapping[str, Any], files: Sequence[int]) -> Command:
        """Start one command with these files as its standard input, output and error."""
        return Command(self, self.ask(order, files))

    def ask(self, order: Mapping[str, Any], files: Sequence[int] = ()) -> int:
        """One question, one answer: both at once, for nothing else is asked meanwhile."""
        socket.send_fds(self._socket, [json.dumps(order).encode() + b"\n"], files)
        answer = b""
        while not answer.endswith(b"\n"):
            more = self._socket.recv(64)
            assert more, "the starter has ended"
            answer += more
        return int(answer)

    def close(self) -> None:
        """End it, and every command it started that still runs."""
        self._socket.close()
        self._process.wait()


@cache
def starter(environment: tuple[tuple[str, str], ...], folder: Path) -> Starter:
    """The one of this process."""
    return Starter(dict(environment), folder)


def main(number: int) -> None:
    """Obey until the socket ends."""
    with socket.socket(fileno=number) as orders:
        while True:
            order, files = _next(orders)
            if order is None:
                return
            if "ended" in order:
                answer = os.waitstatus_to_exitcode(os.waitpid(order["ended"], 0)[1])
            else:
                answer = _fork(order, files, number)
                for file in files:
                    os.close(file)
            orders.sendall(f"{answer}\n".encode())


def _next(orders: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    text, files = b"", list[int]()
    while not text.endswith(b"\n"):
        more, got, *_ = socket.recv_fds(orders, LONGEST_ORDER, 3)
        if not more:
            return None, files
        text += more
        files += got
    return json.loads(text), files


def _fork(order: Mapping[str, Any], files: Sequence[int], number: int) -> int:
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    os.close(number)
    for standard, file in enumerate(files):
        os.dup2(file, standard)
        os.close(file)
    os._exit(_run(order))


def _run(order: Mapping[str, Any]) -> int:
    """The command, as `python -m app` runs it; its exit code."""
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["greenroom", *order["argv"]]
    sys.path[0] = order["cwd"]
    code: Any = 0
    try:
        runpy.run_module("app", run_name="__main__")
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 -- as the interpreter itself ends
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    importlib.import_module("app.cli")  # and all that it imports
    importlib.import_module("tests.no_transaction").watch(fatal=True)
    main(int(sys.argv[1]))
