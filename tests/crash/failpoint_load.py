#!/usr/bin/env python3
"""Work on a mount that is going to be killed, with a model, and the check of what is there after it.

    failpoint_load.py run   --record FILE [--operations N] [--admin PROGRAM] MNT
    failpoint_load.py flush --record FILE --admin PROGRAM MNT
    failpoint_load.py check --record FILE [--lost] [--complete] MNT
    failpoint_load.py go-on --record FILE [--operations N] MNT

One operation after the other, each synced before the next begins; the record has a line before each
of them, one when its sync has returned 0, and one for each `mailfs-admin flush` that was successful.
With --large some writes are larger than one object of the journal may be. With --admin that program makes checkpoints, evicts and warms accounts meanwhile. `run` ends with 0
when all operations are done, with 3 when the daemon has died.

check: the mount has the model's names, contents, extended attributes and links, after the last
acknowledged operation, or after the one that was under way too. --lost: of ack=local on another
machine, so after any operation since the last flush. --complete: after exactly the operation at
which an earlier check found it. A check that is successful is noted; the model goes on from there.
go-on: check, run, check.
"""

import argparse
import errno
import hashlib
import json
import os
import random
import subprocess
import sys
import threading
import time

ACCOUNTS = ["a1", "a2", "a3"]
BODIES = ["u.%d" % n for n in range(1, 9)]
PIECE = 8192  # of each write
PAGE = 4096
LARGE = 36 << 20  # more than one object of the journal takes
LOG, CACHE, PLAIN = "dovecot.index.log", "dovecot.index.cache", "plain"
DEAD = {errno.ENOTCONN, errno.ECONNABORTED, errno.EINTR}


def noise(seed, size):
    return hashlib.shake_128(str(seed).encode()).digest(size)


def digest(file):
    """Remembered for as long as the content is the same."""
    if file.get("digest of") is not file["data"]:
        file["digest"] = hashlib.sha256(file["data"]).hexdigest()
        file["digest of"] = file["data"]
    return file["digest"]


# -- the model ------------------------------------------------------------------------------


class Model:
    """Files by "account/name"; hard links share a dict."""

    def __init__(self):
        self.files = {}

    def apply(self, operation):
        kind, path = operation["kind"], operation["path"]
        if kind == "put":
            self.files[path] = {"data": noise(operation["n"], operation["size"]), "xattr": ""}
        elif kind == "append":
            file = self.files[path]
            file["data"] += noise(operation["n"], operation["size"])
        elif kind == "overwrite":
            file = self.files[path]
            at, new = operation["at"], noise(operation["n"], operation["size"])
            old = file["data"].ljust(at + len(new), b"\0")
            file["data"] = old[:at] + new + old[at + len(new) :]
        elif kind == "truncate":
            file = self.files[path]
            file["data"] = file["data"][: operation["size"]].ljust(operation["size"], b"\0")
        elif kind == "delete":
            del self.files[path]
        elif kind == "rename":
            self.files[operation["to"]] = self.files.pop(path)
        elif kind == "link":
            self.files[operation["to"]] = self.files[path]
        elif kind == "xattr":
            self.files[path]["xattr"] = str(operation["n"])

    def state(self):
        names = {}
        for path, file in self.files.items():
            names.setdefault(id(file), []).append(path)
        return {
            path: [len(file["data"]), digest(file), file["xattr"], sorted(names[id(file)])]
            for path, file in self.files.items()
        }


def read_state(mnt):
    found, names = {}, {}
    for account in ACCOUNTS:
        directory = os.path.join(mnt, account)
        for name in os.listdir(directory) if os.path.isdir(directory) else []:
            if name.startswith(".temp."):
                continue
            path = account + "/" + name
            full = os.path.join(mnt, path)
            with open(full, "rb") as file:
                data = file.read()
            try:
                xattr = os.getxattr(full, "user.k").decode()
            except OSError:
                xattr = ""
            about = os.stat(full)
            if len(data) != about.st_size:
                raise AssertionError("%s: %d bytes of %d" % (path, len(data), about.st_size))
            names.setdefault(about.st_ino, []).append(path)
            found[path] = [len(data), hashlib.sha256(data).hexdigest(), xattr, about.st_ino]
            if about.st_nlink != 1 and name not in BODIES:
                raise AssertionError("%s: %d links" % (path, about.st_nlink))
    for about in found.values():
        about[3] = sorted(names[about[3]])
    return found


def read_record(path):
    """(operations, number acknowledged, number flushed, number that a check found)"""
    operations, acknowledged, floor, found = [], 0, 0, 0
    with open(path, encoding="ascii") as record:
        for line in record:
            if not line.endswith("\n"):
                continue
            entry = json.loads(line)
            if "kind" in entry:
                operations.append(entry)
            elif "acknowledged" in entry:
                acknowledged = entry["acknowledged"]
            elif "flushed" in entry:
                floor = max(floor, entry["flushed"])
            elif "found" in entry:  # what came after it never was
                found = acknowledged = floor = entry["found"]
                del operations[found:]
    return operations, acknowledged, floor, found


# -- work -----------------------------------------------------------------------------------


class Work:
    def __init__(self, arguments):
        self.arguments = arguments
        self.operations, self.acknowledged, _, _ = read_record(arguments.record)
        self.record = os.open(arguments.record, os.O_WRONLY | os.O_APPEND)
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.model = Model()
        for operation in self.operations:
            self.model.apply(operation)
        self.random = random.Random(len(self.operations))

    def note(self, entry):
        with self.lock:
            os.write(self.record, (json.dumps(entry) + "\n").encode())

    def full(self, path):
        return os.path.join(self.arguments.mnt, path)

    def sync(self, path):
        fd = os.open(self.full(path), os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def choose(self):
        """The next operation: as a dict."""
        account = self.random.choice(ACCOUNTS)
        bodies = [p for p in sorted(self.model.files)
                  if p.startswith(account + "/") and p.split("/")[1] in BODIES]
        free = ["%s/%s" % (account, b) for b in BODIES if "%s/%s" % (account, b) not in bodies]
        n = len(self.operations) + 1
        size = self.random.choice([200, 3000, 20000, 20000, 300000])
        kinds = ["append", "append", "overwrite"]
        kinds += ["put"] * 4 if free else []
        kinds += ["delete", "xattr", "truncate"] if bodies else []
        kinds += ["rename", "link"] if bodies and free else []
        kind = self.random.choice(kinds)
        if kind == "put":
            return {"n": n, "kind": kind, "path": free[0], "size": size}
        if kind in ("append", "overwrite"):
            name = LOG if kind == "append" else self.random.choice([CACHE, PLAIN])
            operation = {"n": n, "kind": kind, "path": account + "/" + name, "size": 72}
            if operation["path"] not in self.model.files:
                operation["kind"] = "put"
            operation["at"] = self.random.randrange(40000)
            if self.arguments.large and name == CACHE:
                operation["size"] = LARGE
            return operation
        path = self.random.choice(bodies)
        operation = {"n": n, "kind": kind, "path": path}
        if kind in ("rename", "link"):
            operation["to"] = self.random.choice(free)
        elif kind == "truncate":
            operation["size"] = self.random.randrange(30000)
        return operation

    def write(self, path, at, data, flags):
        fd = os.open(self.full(path), os.O_WRONLY | os.O_CREAT | flags, 0o600)
        data = memoryview(data)
        try:
            while data:
                done = os.pwrite(fd, data[:PIECE], at) if at is not None else os.write(fd, data)
                data = data[done:]
                at = at + done if at is not None else None
            os.fsync(fd)
        finally:
            os.close(fd)

    def perform(self, operation):
        kind, path = operation["kind"], operation["path"]
        account = path.split("/")[0]
        if not os.path.isdir(self.full(account)):
            os.mkdir(self.full(account))
        if kind == "put":
            # Each name once: what a dead process left stays.
            temporary = "%s/.temp.%d.%d" % (account, operation["n"], os.getpid())
            self.write(temporary, 0, noise(operation["n"], operation["size"]), os.O_EXCL)
            os.rename(self.full(temporary), self.full(path))
        elif kind == "append":
            self.write(path, None, noise(operation["n"], operation["size"]), os.O_APPEND)
        elif kind == "overwrite":
            self.write(path, operation["at"], noise(operation["n"], operation["size"]), 0)
        elif kind == "truncate":
            os.truncate(self.full(path), operation["size"])
            self.sync(path)
        elif kind == "delete":
            os.unlink(self.full(path))
        elif kind == "rename":
            os.rename(self.full(path), self.full(operation["to"]))
        elif kind == "link":
            os.link(self.full(path), self.full(operation["to"]))
        elif kind == "xattr":
            os.setxattr(self.full(path), "user.k", str(operation["n"]).encode())
            self.sync(path)
        self.sync(account)

    def administrate(self):
        """Until all is over, or the daemon is dead. What it refuses is no failure here."""
        commands = [["flush", "--checkpoint"], ["evict", "a2"], ["warm", "--all"], ["evict", "a3"]]
        n = 0
        while not self.over.wait(0.05):
            at = self.acknowledged
            verb, *words = commands[n % len(commands)]
            target = [self.arguments.mnt]
            run = subprocess.run(
                [self.arguments.admin, verb, *(target + words)], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300, check=False)
            if verb == "flush" and run.returncode == 0:
                self.note({"flushed": at})
            n += 1

    def work(self):
        end = time.monotonic() + self.arguments.seconds
        for _ in range(self.arguments.operations):
            if time.monotonic() >= end:
                break
            time.sleep(self.arguments.pause)
            operation = self.choose()
            self.note(operation)
            self.operations.append(operation)
            self.perform(operation)
            self.model.apply(operation)
            self.acknowledged = operation["n"]
            self.note({"acknowledged": operation["n"]})

    def run(self):
        administrator = None
        if self.arguments.admin:
            administrator = threading.Thread(target=self.administrate)
            administrator.start()
        try:
            self.work()
        except OSError as error:
            if error.errno not in DEAD:
                print("operation %d: %s" % (len(self.operations), error))
                return 1
            print("the daemon died in operation %d" % len(self.operations))
            return 3
        finally:
            self.over.set()
            if administrator:
                administrator.join()
        return 0


def flush(arguments):
    """All that is acknowledged is on the backend now, and that is noted."""
    at = read_record(arguments.record)[1]
    run = subprocess.run([arguments.admin, "flush", arguments.mnt], timeout=120, check=False)
    if run.returncode == 0:
        with open(arguments.record, "a", encoding="ascii") as record:
            record.write(json.dumps({"flushed": at}) + "\n")
    return run.returncode


# -- check ----------------------------------------------------------------------------------


def difference(expected, found):
    for path in sorted(set(expected) | set(found)):
        if expected.get(path) != found.get(path):
            yield "%s: expected %r, is %r" % (path, expected.get(path), found.get(path))


def same_from(a, b):
    """How many bytes at the beginning are the same."""
    step, n = 1 << 16, 0
    while n < min(len(a), len(b)) and a[n : n + step] == b[n : n + step]:
        n += step
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    return min(n, len(a), len(b))


def is_partly_done(mnt, model, operation, found):
    """Whether it is the model, with the first pieces of a write that was under way."""
    path = operation["path"]
    expected = model.state()
    if operation["kind"] != "overwrite" or path not in expected or path not in found:
        return False
    others = [p for p in set(expected) | set(found) if expected.get(p) != found.get(p)]
    if others != [path] or found[path][2:] != expected[path][2:]:
        return False
    with open(os.path.join(mnt, path), "rb") as file:
        data = file.read()
    old, at = model.files[path]["data"], operation["at"]
    new = noise(operation["n"], operation["size"])
    # The kernel sends a write in two requests where a page ends. On the machine itself the first of
    # them is undone (cache/torn_write.h); another one may see it.
    ends = set(range(PIECE, len(new), PIECE)) | set(range(-at % PAGE, len(new), PAGE))
    if data[:at] != old.ljust(at, b"\0")[:at]:
        return False
    written = same_from(data[at:], new)
    kept = len(data) - same_from(data[::-1], old[::-1]) if len(data) == len(old) else len(data)
    return any(kept <= at + done and done <= written and len(data) == max(len(old), at + done)
               for done in ends - {0})


def partly_done(arguments, operations, n, found):
    """And then it is undone, so that the model can go on."""
    model = Model()
    for operation in operations[:n]:
        model.apply(operation)
    if not is_partly_done(arguments.mnt, model, operations[n], found):
        return False
    if not arguments.copy:
        path = os.path.join(arguments.mnt, operations[n]["path"])
        with open(path, "r+b", buffering=0) as file:
            file.truncate(0)
            file.write(model.files[operations[n]["path"]]["data"])
            os.fsync(file.fileno())
    return True


def check(arguments):
    operations, acknowledged, floor, found_before = read_record(arguments.record)
    lowest = floor if arguments.lost else acknowledged
    if arguments.complete:
        lowest = highest = found_before
    else:
        highest = len(operations)
        if not arguments.lost and highest > acknowledged + 1:
            print("the record has %d operations, %d acknowledged" % (highest, acknowledged))
            return 1
    found = read_state(arguments.mnt)
    model, states = Model(), {}
    for n in range(highest + 1):
        if n > 0:
            model.apply(operations[n - 1])
        if n >= lowest:
            states[n] = model.state()
    matching = [n for n, state in states.items() if state == found]
    for n in range(lowest, highest):
        if not matching and partly_done(arguments, operations, n, found):
            print("in the middle of operation %d" % (n + 1))
            matching = [n]
    if not matching:
        print("of %d operations %d are acknowledged, %d flushed; it is as after none of %d to %d" % (
            len(operations), acknowledged, floor, lowest, highest))
        lines = list(difference(states.get(acknowledged, states[lowest]), found))
        for line in lines[:6]:
            print("  " + line)
        print("  %d differences" % len(lines))
        return 1
    print("as after operation %d; %d are acknowledged, %d flushed" % (
        matching[-1], acknowledged, floor))
    if not arguments.copy:
        with open(arguments.record, "a", encoding="ascii") as record:
            record.write(json.dumps({"found": matching[-1]}) + "\n")
    return 0


def go_on(arguments):
    return check(arguments) or Work(arguments).run() or check(arguments)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in (("run", lambda a: Work(a).run()), ("flush", flush),
                           ("check", check), ("go-on", go_on)):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("mnt")
        command.add_argument("--record", required=True)
        if name in ("run", "flush", "go-on"):
            command.add_argument("--admin", required=name == "flush")
        if name in ("run", "go-on"):
            command.add_argument("--operations", type=int, default=40)
            command.add_argument("--seconds", type=float, default=60)
            command.add_argument("--pause", type=float, default=0, help="between operations")
            command.add_argument("--large", action="store_true")
        if name in ("check", "go-on"):
            command.add_argument("--lost", action="store_true")
            command.add_argument("--complete", action="store_true")
            command.add_argument("--copy", action="store_true", help="the finding is not noted")
    arguments = parser.parse_args()
    with open(arguments.record, "a", encoding="ascii"):
        pass
    return arguments.function(arguments)


if __name__ == "__main__":
    sys.exit(main())
