# SPDX-License-Identifier: BSD-3-Clause
"""Starting and ending what is measured, and measuring it."""

import contextlib
import os
import signal
import subprocess
import time

BOUND_S = 30


class NotAvailable(Exception):
    """A server does not know what a row asks for, or does it wrongly; says why."""


class Place:
    """Where things are: the programs, and folders that go away at the end."""

    def __init__(self, root, build, folder, files):
        self.folder = folder
        self.bench = os.path.join(build, "bench")
        self.names = {
            "nbdlab": os.path.join(build, "nbdlab"),
            "nbdkit": "nbdkit",
            "theirs": find_plugins(),
            "disks": os.path.join(root, "bench", "disks"),
            "bench": self.bench,
            "examples": os.path.join(root, "examples"),
            "compiled": os.path.join(build, "examples"),
            "files": files,
        }

    def fill_in(self, side_name, text):
        return text.format(side=side_name, **self.names)

    def tool(self, name):
        return os.path.join(self.bench, name)


def find_plugins():
    answer = subprocess.run(["nbdkit", "--dump-config"], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in answer.stdout.splitlines())["plugindir"]


def run_tool(words):
    """Runs one of our programs; returns its line as a dict."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=BOUND_S)
    except subprocess.TimeoutExpired:
        raise NotAvailable(f"no end of {' '.join(words)} within {BOUND_S} s") from None
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if ": error: " in line]
        raise NotAvailable("; ".join(errors) or f"{words[0]} ended with status {done.returncode}")
    return dict(pair.split("=", 1) for pair in done.stdout.split())


class Server:
    """A server on a socket of its own, as a context: it has ended when the context has."""

    def __init__(self, place, name, side):
        self.place = place
        self.socket = os.path.join(place.folder, f"{name}.sock")
        self.pid_file = os.path.join(place.folder, f"{name}.pid")
        self.log = os.path.join(place.folder, f"{name}.log")
        self.words = self.add_options([place.fill_in(name, word) for word in side.command])
        self.environment = dict(os.environ, TMPDIR=place.folder)
        for key, value in side.environment.items():
            self.environment[key] = place.fill_in(name, value)
        self.process = None

    def add_options(self, words):
        return [words[0], "-f", "-U", self.socket, "-P", self.pid_file, *words[1:]]

    def start(self):
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=self.environment)
        self.wait_until(lambda: os.path.exists(self.pid_file) and os.path.getsize(self.pid_file))

    def wait_until(self, is_up):
        deadline = time.monotonic() + BOUND_S
        while not is_up():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise NotAvailable(self.last_words())
            time.sleep(0.002)

    def last_words(self):
        with open(self.log) as log:
            lines = [line.strip() for line in log if ": error: " in line]
        return lines[0] if lines else f"{self.words[0]} did not start"

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *error):
        self.end()

    def end(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(BOUND_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for path in self.socket, self.pid_file:
            if os.path.lexists(path):
                os.unlink(path)

    def load(self, *arguments):
        return run_tool([self.place.tool("nbdload"), "--unix", self.socket, *arguments])

    def status(self):
        """The server's threads, and its resident memory in KiB."""
        with open(f"/proc/{self.process.pid}/status") as status:
            fields = dict(line.split(":", 1) for line in status)
        return {"threads": int(fields["Threads"]), "memory": int(fields["VmRSS"].split()[0])}

    def measure_idle(self, connections):
        """What its status is while so many clients are connected and silent."""
        words = [self.place.tool("nbdload"), "--unix", self.socket, "--idle", "--connections",
                 str(connections)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as client:
            if not client.stdout.readline().startswith("idle="):
                raise NotAvailable(client.stderr.read().strip())
            status = self.settled_status()
            client.stdin.close()
        return status

    def settled_status(self):
        """The status once no more threads come or go."""
        status = self.status()
        while True:
            time.sleep(0.1)
            last, status = status, self.status()
            if last["threads"] == status["threads"]:
                return status


class BareLoop(Server):
    """The limit; it has a command line of its own, and no pid file."""

    def add_options(self, words):
        return [words[0], self.socket, *words[1:]]

    def start(self):
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise NotAvailable(self.last_words())


def measure_start(place, name, side):
    """Microseconds from the start of a server to its first reply."""
    server = Server(place, name, side)
    with subprocess.Popen([place.tool("firstreply"), server.socket, *server.words],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, env=server.environment, start_new_session=True) as first:
        try:
            answer, errors = first.communicate(timeout=BOUND_S)
        except subprocess.TimeoutExpired:
            raise NotAvailable(f"no first reply within {BOUND_S} s") from None
        finally:
            if first.returncode != 0:
                end_group(first.pid)
            server.end()
    if first.returncode != 0:
        raise NotAvailable("; ".join(line for line in errors.splitlines() if ": error: " in line))
    return float(answer.split("=")[1])


def end_group(leader_pid):
    """Ends a program with the server that it has started and not ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader_pid, signal.SIGTERM)
