#!/usr/bin/env python3
"""Dovecot's speed on several directories, interleaved in one run; see the script dovecot-bench.

    dovecot_bench.py --format F --target NAME=DIR... [option...] --json FILE

The first target is the reference of all ratios. Each round runs each workload on every target in
turn, in an order that rotates with the round, so that a slow minute hits all of them.
"""

import argparse
import collections
import json
import os
import re
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SUPPORT = os.path.join(HERE, "..", "tests", "support")
sys.path.insert(0, SUPPORT)

from dovecot_client import Imap, quoted  # noqa: E402

BIG = "big"
MAIL_BYTES = 5120


def message(number):
    """A mail of about 5 KB, cheap to make."""
    head = (
        "From: Sender <sender@mailfs.test>\r\nTo: big@mailfs.test\r\n"
        "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nSubject: Mail %d of the benchmark\r\n"
        "Message-ID: <big.%d@bench.mailfs.test>\r\n\r\nword%dword\r\n" % (number, number, number)
    ).encode()
    line = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+\r\n"
    return head + line * ((MAIL_BYTES - len(head)) // len(line))


class FastImap(Imap):
    """An IMAP session whose answers are thrown away unread, so that the client costs little."""

    def drain(self, command):
        """Sends a command, waits for its end; the bytes of the answer."""
        self.number += 1
        tag = b"t%d" % self.number
        end = re.compile(rb"(?:^|\r\n)" + tag + rb" (OK|NO|BAD)[^\r\n]*\r\n$")
        socket = self.connection.sock
        socket.sendall(tag + b" " + command.encode() + b"\r\n")
        tail, total = b"", 0
        while True:
            data = socket.recv(1 << 20)
            if not data:
                raise ConnectionError("%s: the server closed the connection" % command)
            total += len(data)
            tail = (tail + data)[-1000:] if len(data) < 1000 else data[-1000:]
            found = end.search(tail)
            if found:
                if found.group(1) != b"OK":
                    raise RuntimeError("%s: %r" % (command, found.group()))
                return total


class Target:
    def __init__(self, name, directory, arguments):
        self.name = name
        self.directory = directory
        self.format = arguments.format
        self.instance = os.path.join(arguments.work, "dovecot-" + name)
        self.restart_cmd = arguments.restart.get(name)
        self.status_cmd = arguments.status.get(name)
        self.count_cmd = arguments.count.get(name)
        self.running = False
        self.delivery_users = arguments.users

    def dovecot(self, *words):
        run = subprocess.run(
            ["sh", os.path.join(SUPPORT, "dovecot.sh"), *words],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        if run.returncode:
            raise RuntimeError("%s: %s: %s" % (self.name, " ".join(words), run.stdout))

    def start(self):
        # Reused login processes: what is measured is not the start of processes.
        lines = ["service imap-login {", "  service_count = 0", "}"]
        self.dovecot("start", self.instance, self.directory, self.format, *lines)
        self.running = True

    def stop(self):
        if self.running:
            self.running = False
            self.dovecot("stop", self.instance)

    def make_cold(self):
        """Unmounts and mounts where a command for that was given, and empties the kernel's
        caches."""
        self.stop()
        if self.restart_cmd:
            subprocess.run(self.restart_cmd, shell=True, check=True, stdout=subprocess.DEVNULL)
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as drop:
            drop.write("3\n")
        self.start()

    def counters(self):
        """Numbers by name from the target's status command; nested objects are summed up."""
        if not self.status_cmd:
            return None
        run = subprocess.run(self.status_cmd, shell=True, check=True, stdout=subprocess.PIPE)
        status = json.loads(run.stdout)
        status = status.get("counters", status)
        counters = {}
        requests = status.get("fuse_requests")
        if isinstance(requests, dict):
            counters.update(("fuse " + k, v) for k, v in requests.items())
            counters["fuse_requests"] = sum(requests.values())
        elif isinstance(requests, int):
            counters["fuse_requests"] = requests
        if isinstance(status.get("commits"), int):
            counters["commits"] = status["commits"]
        return counters

    def prepare(self, count):
        """The users that get deliveries, and the large mailbox."""
        for n in range(1, self.delivery_users + 1):
            with Imap(self.instance, "d%d" % n) as imap:
                imap.select()
        with Imap(self.instance, BIG, timeout=600) as imap:
            have = imap.select()["exists"]
            for first in range(have, count, 500):
                mails = [("", None, message(n)) for n in range(first, min(first + 500, count))]
                imap.append("INBOX", mails)
            imap.command("NOOP")


# -- workloads: each returns operations per second ------------------------------------------------


def timed(count, function):
    begun = time.perf_counter()
    function()
    return count / (time.perf_counter() - begun)


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.targets = [
            Target(name, directory, arguments) for name, directory in arguments.target
        ]
        # {workload: {target: [value per round]}}; values are rates: more is better
        self.results = collections.OrderedDict()
        self.counts = collections.OrderedDict()

    def note(self, text):
        if not self.arguments.quiet:
            print("# %s" % text, file=sys.stderr, flush=True)

    def add(self, workload, target, value):
        self.results.setdefault(workload, {}).setdefault(target.name, []).append(value)

    def wanted(self, group):
        return group in self.arguments.groups

    # -- delivery

    def deliver(self, target, connections, mails):
        command = [
            self.arguments.lmtp_load, "-s", target.instance + "/lmtp.sock", "-p", "d",
            "-u", str(target.delivery_users), "-c", str(connections), "-n", str(mails),
            "-b", str(MAIL_BYTES),
        ]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if not run.stdout:
            raise RuntimeError("lmtp_load on %s failed" % target.name)
        result = json.loads(run.stdout)
        if result["failed"]:
            self.note("%s: %d of %d deliveries refused" % (target.name, result["failed"], mails))
        return result

    def lmtp(self, target):
        for connections in self.arguments.connections:
            mails = self.arguments.deliveries * (1 if connections == 1 else 2)
            self.deliver(target, connections, connections)  # processes are there
            result = self.deliver(target, connections, mails)
            self.add("lmtp_%d" % connections, target, result["rate"])

    # -- the large mailbox

    def imap_reads(self, target, cold):
        """What a client does with a large mailbox. Cold, each begins with empty caches."""
        count = self.arguments.mails
        suffix = "_cold" if cold else ""
        reads = [
            ("select", 1, None),
            ("fetch_flags", count, "UID FETCH 1:* (FLAGS)"),
            ("fetch_cached_headers", count,
             "UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT DATE)])"),
            ("search_cached", count, 'UID SEARCH SUBJECT "no such subject"'),
            ("fetch_headers", count, "UID FETCH 1:* (BODY.PEEK[HEADER])"),
            ("fetch_bodies", count, "UID FETCH 1:* (BODY.PEEK[])"),
            ("search_body", count, 'UID SEARCH BODY "no such word"'),
        ]
        for name, units, command in reads:
            if cold:
                target.make_cold()
            if command is None:
                self.add(name + suffix, target, self.select_rate(target, 1 if cold else 15))
                continue
            with FastImap(target.instance, BIG, timeout=600) as imap:
                imap.select()
                if not cold:  # pages and caches warm, whatever ran before
                    imap.drain(command)
                rate = timed(units, lambda c=command: imap.drain(c))
                self.add(name + suffix, target, rate)

    @staticmethod
    def select_rate(target, sessions):
        """Of the first SELECT of a session; the login is not counted."""
        rates = []
        for _ in range(sessions):
            with FastImap(target.instance, BIG, timeout=600) as imap:
                rates.append(timed(1, lambda: imap.drain("SELECT INBOX")))
        return statistics.median(rates)

    def imap_writes(self, target):
        count = self.arguments.mails
        with FastImap(target.instance, BIG, timeout=600) as imap:
            imap.select()
            stores = min(200, count // 2)
            uids = [1 + n * (count // stores) for n in range(stores)]

            def store(sign):
                for uid in uids:
                    imap.drain("UID STORE %d %sFLAGS.SILENT (\\Flagged)" % (uid, sign))

            store("-")  # what earlier work left behind is done, and the indexes are warm
            rate = timed(2 * stores, lambda: (store("+"), store("-")))
            self.add("store", target, rate)
            copies = min(2000, count)
            box = "Copy%d" % time.time_ns()
            imap.command(b"CREATE " + quoted(box))
            rate = timed(copies, lambda: imap.drain("UID COPY 1:%d %s" % (copies, box)))
            self.add("copy", target, rate)
            imap.command(b"DELETE " + quoted(box))

    # -- single operations of the filesystem

    def fsops(self, target):
        target.make_cold()  # passthrough_ll has its descriptors back
        command = [self.arguments.fsops, "-n", str(self.arguments.calls),
                   "-d", str(self.arguments.entries), target.directory]
        run = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        for name, result in json.loads(run.stdout).items():
            self.add("op_" + name, target, 1e6 / max(result["p50_us"], 0.001))

    # -- counted, not timed

    def count(self, target):
        if not target.status_cmd:
            return
        if target.count_cmd:
            target.stop()
            subprocess.run(target.count_cmd, shell=True, check=True, stdout=subprocess.DEVNULL)
            target.start()
        count = 100
        self.deliver(target, 1, 20)
        with FastImap(target.instance, BIG, timeout=600) as imap:
            imap.select()
            imap.drain("UID FETCH 1:* (BODY.PEEK[])")
            for name, function in (
                ("delivery", lambda: self.deliver(target, 1, count)),
                ("fetched body", lambda: imap.drain("UID FETCH 1:%d (BODY.PEEK[])" % count)),
            ):
                time.sleep(0.2)
                before = target.counters()
                function()
                time.sleep(0.2)
                after = target.counters()
                self.counts.setdefault(name, {})[target.name] = {
                    key: round((after[key] - before.get(key, 0)) / count, 2)
                    for key in after
                    if after[key] != before.get(key, 0)
                }

    # -- the run

    def run(self):
        groups = [
            ("lmtp", self.lmtp),
            ("imap", lambda target: self.imap_reads(target, False)),
            ("imap", self.imap_writes),
            ("cold", lambda target: self.imap_reads(target, True)),
            ("fsops", self.fsops),
        ]
        try:
            for target in self.targets:
                self.note("%s: %s is being prepared" % (self.arguments.format, target.name))
                target.start()
                target.prepare(self.arguments.mails if self.needs_mails() else 0)
            for number in range(self.arguments.rounds):
                turn = number % len(self.targets)
                order = self.targets[turn:] + self.targets[:turn]
                for group, function in groups:
                    if not self.wanted(group):
                        continue
                    for target in order:
                        self.note("%s: round %d of %d: %s on %s" % (
                            self.arguments.format, number + 1, self.arguments.rounds, group,
                            target.name))
                        function(target)
            if self.wanted("count"):
                for target in self.targets:
                    self.count(target)
        finally:
            for target in self.targets:
                target.stop()

    def needs_mails(self):
        return any(self.wanted(group) for group in ("imap", "cold", "count"))

    def report(self):
        reference = self.targets[0].name
        workloads = {}
        for workload, by_target in self.results.items():
            base = by_target[reference]
            workloads[workload] = {}
            for name, values in by_target.items():
                ratios = [value / against for value, against in zip(values, base)]
                workloads[workload][name] = {
                    "median": round(statistics.median(values), 2),
                    "values": [round(value, 2) for value in values],
                    "ratio": round(statistics.median(ratios), 3),
                    "ratio_min": round(min(ratios), 3),
                    "ratio_max": round(max(ratios), 3),
                }
        return {"workloads": workloads, "counts": self.counts}


def pair(text):
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise argparse.ArgumentTypeError("'%s' is not NAME=VALUE" % text)
    return name, value


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--format", required=True, choices=("maildir", "sdbox", "mdbox"))
    parser.add_argument("--target", type=pair, action="append", required=True)
    parser.add_argument("--restart", type=pair, action="append", default=[],
                        help="NAME=COMMAND that unmounts and mounts the target")
    parser.add_argument("--status", type=pair, action="append", default=[],
                        help="NAME=COMMAND that prints JSON with fuse_requests and commits")
    parser.add_argument("--count", type=pair, action="append", default=[],
                        help="NAME=COMMAND run before counting, Dovecot stopped")
    parser.add_argument("--work", required=True, help="directory for Dovecot's configurations")
    parser.add_argument("--json", required=True)
    parser.add_argument("--groups", default="lmtp,imap,cold,fsops,count")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mails", type=int, default=20000)
    parser.add_argument("--deliveries", type=int, default=400)
    parser.add_argument("--connections", default="1,8,32")
    parser.add_argument("--users", type=int, default=32)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--entries", type=int, default=20000, help="files for readdir")
    parser.add_argument("--lmtp-load", default=os.path.join(HERE, "lmtp_load"))
    parser.add_argument("--fsops", default=os.path.join(HERE, "fsops"))
    parser.add_argument("--quiet", action="store_true")
    arguments = parser.parse_args()
    arguments.groups = arguments.groups.split(",")
    arguments.connections = [int(n) for n in arguments.connections.split(",")]
    arguments.restart = dict(arguments.restart)
    arguments.status = dict(arguments.status)
    arguments.count = dict(arguments.count)
    bench = Bench(arguments)
    bench.run()
    with open(arguments.json, "w", encoding="utf-8") as out:
        json.dump(bench.report(), out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    main()
