#!/usr/bin/env python3
"""Figures of the journal; see the script journal-bench, which calls this.

Each group makes the mounts that it needs, fresh, and alternates between them in each round, so that
a slow minute hits all of them. Printed: medians, and what they are to be compared with.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SUPPORT = os.path.join(HERE, "..", "tests", "support")
sys.path[:0] = [HERE, SUPPORT]

from dovecot_bench import FastImap, message  # noqa: E402
from dovecot_client import Imap  # noqa: E402

USERS = 128  # many more than connections: deliveries to one mailbox wait for each other
MAIL_BYTES = 5120


class Mount:
    """A mailfs, or for kind "plain" a directory, with a Dovecot."""

    def __init__(self, bench, name, kind, options=""):
        self.bench, self.name, self.kind, self.options = bench, name, kind, options
        self.store = os.path.join(bench.arguments.work, "store-" + name)
        self.mnt = os.path.join(bench.arguments.work, "mnt-" + name)
        self.instance = os.path.join(bench.arguments.work, "dovecot-" + name)

    def command(self, verb):
        options = ",".join(filter(None, [self.options, os.environ.get("MAILFS_OPTIONS")]))
        environment = dict(os.environ, MAILFS_OPTIONS=options)
        run = subprocess.run(
            ["sh", os.path.join(SUPPORT, "dovecot-mounts.sh"), verb, self.kind, self.store,
             self.mnt],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if run.returncode:
            raise RuntimeError("%s: %s: %s%s" % (self.name, verb, run.stdout, run.stderr))
        return run.stdout

    def dovecot(self, *words):
        run = subprocess.run(
            ["sh", os.path.join(SUPPORT, "dovecot.sh"), *words],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if run.returncode:
            raise RuntimeError("%s: %s: %s" % (self.name, " ".join(words), run.stdout))

    def start(self):
        self.command("mount")
        os.chmod(self.mnt, 0o755)
        self.dovecot("start", self.instance, self.mnt, self.bench.format,
                     "service imap-login {", "  service_count = 0", "}")

    def prepare(self):
        for n in range(1, USERS + 1):
            with Imap(self.instance, "d%d" % n) as imap:
                imap.select()
        self.deliver(8, 2 * USERS)
        return self

    def stop(self):
        self.dovecot("stop", self.instance)
        self.command("unmount")

    def remove(self):
        self.stop()
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.rmtree(self.mnt, ignore_errors=True)

    def admin(self, *words):
        program = os.environ.get("MAILFS_ADMIN", "mailfs-admin")
        subprocess.run([program, *words], check=True, stdout=subprocess.DEVNULL)

    def status(self):
        return json.loads(self.command("requests"))

    def calls(self, operation):
        """How often that was asked of the backend since the mount."""
        of = self.status()["backend"]["operations"][operation]
        return of["ok"] + of["refused"] + of["failed"]

    def deliver(self, connections, mails, *words):
        run = subprocess.run(
            [self.bench.arguments.lmtp_load, "-s", self.instance + "/lmtp.sock", "-p", "d",
             "-u", str(USERS), "-c", str(connections), "-n", str(mails), "-b", str(MAIL_BYTES),
             *words],
            stdout=subprocess.PIPE, text=True, check=False)
        if not run.stdout:
            raise RuntimeError("lmtp_load on %s failed" % self.name)
        result = json.loads(run.stdout)
        if result["failed"]:
            raise RuntimeError("%s: %d deliveries refused" % (self.name, result["failed"]))
        return result


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.format = None
        self.results = {}

    def slow(self, ack):
        return "ack=%s,faults=any:delay=%dms" % (ack, self.arguments.delay)

    def mounts(self, *wanted):
        made = [Mount(self, *words) for words in wanted]
        for mount in made:
            mount.start()
            mount.prepare()
        return made

    def say(self, what, value, goal):
        self.results.setdefault(self.format, {})[what] = value
        print("%-8s %-52s %10.3f   %s" % (self.format, what, value, goal), flush=True)

    def rotated(self, mounts):
        for number in range(self.arguments.rounds):
            at = number % len(mounts)
            for mount in mounts[at:] + mounts[:at]:
                yield mount

    # -- one delivery after the other, and with pauses as at low load

    def latency(self):
        delay_us = self.arguments.delay * 1000
        goal = "goal %s" % (2.3 if self.format == "maildir" else 1.3)
        slow, fast = mounts = self.mounts(("slow", "mailfs", self.slow("remote")),
                                          ("fast", "mailfs", "ack=remote"))
        found = {}
        for mount in self.rotated(mounts):
            for kind, words in (("in a row", ()), ("with pauses", ("-g", "200"))):
                result = mount.deliver(1, 60, *words)
                for quantile in ("p50_us", "p99_us"):
                    found.setdefault((mount, kind, quantile), []).append(result[quantile])
        for kind in ("in a row", "with pauses"):
            own = statistics.median(found[fast, kind, "p50_us"])
            for quantile in ("p50_us", "p99_us"):
                value = statistics.median(found[slow, kind, quantile])
                self.say("delivery %s, %s, in round trips" % (kind, quantile[:3]),
                         value / delay_us, goal)
                self.say("  less its own %.1f ms" % (own / 1000), (value - own) / delay_us, "")
        for mount in mounts:
            mount.remove()

    # -- 32 deliveries at once

    def burst(self):
        ceiling = 32 / (1.5 * self.arguments.delay / 1000)
        plain, fast, slow = mounts = self.mounts(("ext4", "plain"),
                                                 ("fast", "mailfs", "ack=local"),
                                                 ("slow", "mailfs", self.slow("remote")))
        rates, puts = {mount: [] for mount in mounts}, []
        for mount in self.rotated(mounts):
            before = mount.calls("put") if mount is slow else 0
            result = mount.deliver(32, self.arguments.deliveries)
            rates[mount].append(result["rate"])
            if mount is slow:
                puts.append((mount.calls("put") - before) / result["mails"])
        base = statistics.median(rates[plain])
        rate = statistics.median(rates[slow])
        ratios = [a / min(b, ceiling) for a, b in zip(rates[slow], rates[plain])]
        self.say("32 deliveries at once on ext4, mails/s", base, "")
        self.say("  32 per 1.5 round trips, mails/s", ceiling, "")
        self.say("  ack=local, which waits for no store, mails/s",
                 statistics.median(rates[fast]), "")
        self.say("  on the slow store, mails/s", rate, "")
        self.say("  ratio to the lesser of the two", statistics.median(ratios), "goal 1")
        self.say("  puts for each mail", statistics.median(puts), "goal 0.1")
        for mount in mounts:
            mount.remove()

    # -- flags only; nothing at all

    def flags(self):
        (mount,) = self.mounts(("slow", "mailfs", self.slow("remote")))
        seconds = 10
        with FastImap(mount.instance, "d1", timeout=60) as imap:
            imap.drain("SELECT INBOX")
            time.sleep(3)  # what the deliveries left is on the store
            before, begun, n = mount.calls("put"), time.monotonic(), 0
            while time.monotonic() < begun + seconds:
                imap.drain("STORE 1 %sFLAGS.SILENT (\\Flagged)" % "+-"[n % 2])
                n += 1
                time.sleep(0.02)
        took = time.monotonic() - begun
        self.say("flag changes for %d s: puts per second" % seconds,
                 (mount.calls("put") - before) / took, "goal 1")
        mount.remove()

    def idle(self):
        (mount,) = self.mounts(("slow", "mailfs", self.slow("remote")))
        mount.dovecot("stop", mount.instance)
        mount.admin("flush", mount.mnt)
        time.sleep(5)
        before = mount.calls("put")
        time.sleep(10)
        self.say("idle for 10 s: puts", mount.calls("put") - before, "goal 0")
        mount.remove()

    # -- what the journal costs who does not wait for it. The other side notes what changes, as it
    # has to, but cuts, compresses and puts nothing.

    def cost(self):
        mounts = self.mounts(("with", "mailfs", "ack=local"),
                             ("without", "mailfs", "ack=local,commit_interval=1h"))
        rates = {mount: [] for mount in mounts}
        for connections in (1, 8):
            for mount in mounts:
                rates[mount] = []
            for mount in self.rotated(mounts):
                rates[mount].append(mount.deliver(connections, 300)["rate"])
            ratios = [a / b for a, b in zip(rates[mounts[0]], rates[mounts[1]])]
            self.say("ack=local, %d at once, nothing shipped, mails/s" % connections,
                     statistics.median(rates[mounts[1]]), "")
            self.say("  ratio with the journal", statistics.median(ratios), "goal 0.95")
        for mount in mounts:
            mount.remove()

    # -- an account comes to an empty disk

    def restore(self):
        mount = Mount(self, "restore", "mailfs", "ack=local")
        mount.start()
        count = self.arguments.restore_mails
        with Imap(mount.instance, "big", timeout=600) as imap:
            imap.select()
            for first in range(0, count, 500):
                last = min(first + 500, count)
                imap.append("INBOX", [("", None, message(n)) for n in range(first, last)])
            imap.command("NOOP")
        mount.admin("flush", mount.mnt, "--checkpoint")
        mount.stop()
        found = []
        mount.options = self.slow("remote")
        for _ in range(self.arguments.rounds):
            shutil.rmtree(os.path.join(mount.store, "state"))
            os.mkdir(os.path.join(mount.store, "state"))
            mount.start()
            with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as drop:
                drop.write("3\n")
            with FastImap(mount.instance, "other", timeout=600) as imap:
                imap.drain("SELECT INBOX")  # processes are there
            begun = time.monotonic()
            with FastImap(mount.instance, "big", timeout=600) as imap:
                imap.drain("SELECT INBOX")
            found.append((time.monotonic() - begun,
                          mount.status()["backend"]["operations"]["get"]["bytes"]))
            mount.stop()
        self.say("restore of %d mails to the first SELECT, s" % count,
                 statistics.median(took for took, _ in found), "goal 1 + transfer")
        self.say("  bytes fetched, MB", statistics.median(n for _, n in found) / 1e6, "")
        shutil.rmtree(mount.store)

    def run(self):
        for self.format in self.arguments.formats:
            for group in self.arguments.groups:
                getattr(self, group)()


GROUPS = ["latency", "burst", "flags", "idle", "cost", "restore"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True)
    parser.add_argument("--lmtp-load", required=True)
    parser.add_argument("--formats", default="maildir,sdbox,mdbox")
    parser.add_argument("--groups", default=",".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--delay", type=int, default=30)
    parser.add_argument("--deliveries", type=int, default=960)
    parser.add_argument("--restore-mails", type=int, default=100000)
    parser.add_argument("--json", default="journal-bench.json")
    arguments = parser.parse_args()
    arguments.formats = arguments.formats.split(",")
    arguments.groups = arguments.groups.split(",")
    for group in arguments.groups:
        if group not in GROUPS:
            parser.error("there is no group '%s' (%s)" % (group, ", ".join(GROUPS)))
    bench = Bench(arguments)
    bench.run()
    with open(arguments.json, "w", encoding="utf-8") as out:
        json.dump(bench.results, out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    main()
