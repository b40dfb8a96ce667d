#!/usr/bin/env python3
"""Load with a record of what the server acknowledged, and the check that it kept its word.

    load.py prepare       --instance DIR --users N [--mails N]
    load.py deliver-load  --instance DIR --users N --record FILE --series S [--connections N]
    load.py flag-load     --instance DIR --users N --record FILE [--connections N]
    load.py verify        --instance DIR --users N --record FILE... [--snapshot FILE] [--mdbox]

deliver-load sends mails to u1..uN and writes lines to the record, synced to disk: one before each
is sent, one when it was answered with 250. flag-load gives the mails that `prepare` put into f1..fN ever new flags and
records each STORE that was answered OK. Both end after --seconds, or when every connection has
failed: the filesystem below is meant to be killed under them. Who kills it first adds the line
"killed" to the record.

verify demands of every user: each acknowledged mail is there exactly once, any other at most once,
all of them byte for byte (but for EMPTY_HEADER, where it may be); the flags are those of the last acknowledged STORE, or of one after it
that was on its way. Against a snapshot (see snapshot.py), mails seen before have the same UID
and date, UIDVALIDITY is unchanged, and UIDNEXT has not gone back. Then `doveadm force-resync` must
not change anything of that.
"""

import argparse
import collections
import json
import os
import random
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import mails  # noqa: E402
import state  # noqa: E402
from dovecot_client import Imap, Lmtp, ProtocolError  # noqa: E402

FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "k1", "k2"]
FAILURES = (OSError, ProtocolError)
# What doveadm force-resync says of its own doing, whatever it finds, and of an append to an mdbox
# that was interrupted before the mail was acknowledged: Dovecot leaves its bytes in the file. (So
# also on ext4. What was acknowledged is compared byte for byte after the resync.)
RESYNCING = re.compile(
    r"(rebuilding index(es)?$|fscking index file \S+$|Inconsistency in map index \("
    r"|Corrupted dbox file \S+/storage/m\.\d+ |Copy of the broken file saved to \S+$)",
    re.I,
)


# An mdbox delivery writes 30 zeros where the header of the mail comes, the mail, what belongs behind
# it, and last the header. When it dies, or the filesystem below it, before that last write, a
# resync takes what it finds between two mails for a mail, the zeros included: dbox_file_fix() in
# Dovecot's dbox-file-fix.c. IMAP shows zeros as 0x80. (So also on ext4, when lmtp is killed there.)
EMPTY_HEADER = b"\x80" * 30


class Record:
    """Lines that are on disk when add() returns."""

    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.count = 0
        self.lock = threading.Lock()

    def add(self, *words):
        os.write(self.file, (" ".join(map(str, words)) + "\n").encode())
        os.fdatasync(self.file)
        with self.lock:
            self.count += 1


def lines_of(path):
    """The complete lines of a record, as lists of words."""
    with open(path, encoding="ascii") as record:
        return [line.split() for line in record if line.endswith("\n")]


def deliver_users(arguments):
    return ["u%d" % n for n in range(1, arguments.users + 1)]


def flag_users(arguments):
    return ["f%d" % n for n in range(1, arguments.users + 1)]


def flags_of(step):
    """A different set of flags for each step, as IMAP writes it."""
    return sorted(flag for bit, flag in enumerate(FLAGS) if step >> bit & 1)


# -- load -----------------------------------------------------------------------------------


def prepare(arguments):
    """Makes the mailboxes (parallel deliveries that make them can make Dovecot panic), and the
    mails that get flags."""
    for user in deliver_users(arguments) + flag_users(arguments):
        with Imap(arguments.instance, user) as imap:
            imap.select()
    with Lmtp(arguments.instance) as lmtp:
        for user in flag_users(arguments):
            for n in range(arguments.mails):
                lmtp.must_deliver([user], mails.make(mails.name(user, n, 600)))
    return 0


def run_workers(arguments, work):
    """Runs work(number, stop) in one thread per connection; 0 if any of it succeeded."""
    record = Record(arguments.record)
    stop = time.monotonic() + arguments.seconds

    def worker(number):
        try:
            work(record, number, stop)
        except FAILURES as error:
            print("# connection %d ends: %s" % (number, error), file=sys.stderr)

    threads = [
        threading.Thread(target=worker, args=(number,)) for number in range(arguments.connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("%d acknowledged" % record.count)
    return 0


def deliver_load(arguments):
    users = deliver_users(arguments)

    def work(record, number, stop):
        random_ = random.Random("%s %d" % (arguments.series, number))
        with Lmtp(arguments.instance, timeout=arguments.timeout) as lmtp:
            count = 0
            while time.monotonic() < stop:
                user = random_.choice(users)
                size = random_.randint(300, 20000)
                if random_.random() < 0.03:
                    size = random_.randint(100000, 1500000)
                series = "%s-%s-%d" % (user, arguments.series, number)
                mail = mails.name(series, count, size)
                record.add("send", user, mail)
                lmtp.must_deliver([user], mails.make(mail))
                record.add("mail", user, mail)
                count += 1

    return run_workers(arguments, work)


def flag_load(arguments):
    users = flag_users(arguments)
    before = flag_steps([arguments.record] if os.path.exists(arguments.record) else [])

    def work(record, number, stop):
        mine = users[number :: arguments.connections]
        sessions = {user: Imap(arguments.instance, user, arguments.timeout) for user in mine}
        steps = {}
        for user, imap in sessions.items():
            imap.select()
            for uid in imap.uids():
                steps[user, uid] = before.get((user, uid), [0])[-1] + 1
        random_ = random.Random(number)
        while time.monotonic() < stop and steps:
            user, uid = random_.choice(sorted(steps))
            step = steps[user, uid]
            record.add("try", user, uid, step)
            sessions[user].store(str(uid), "FLAGS.SILENT (%s)" % " ".join(flags_of(step)))
            record.add("flag", user, uid, step)
            steps[user, uid] = step + 1

    return run_workers(arguments, work)


# -- verification ---------------------------------------------------------------------------


def flag_steps(paths):
    """{(user, uid): [last step acknowledged, later steps asked for]}

    An OK that came after the filesystem was killed says nothing: when Dovecot cannot write its
    index log, it goes on with an index in memory and answers OK to STORE in a Maildir.
    """
    steps = {}
    for path in paths:
        killed = False
        for kind, *rest in lines_of(path):
            if kind in ("killed", "verified"):
                killed = kind == "killed"
            elif kind == "try":
                steps.setdefault((rest[0], int(rest[1])), [0]).append(int(rest[2]))
            elif kind == "flag" and not killed:
                steps[rest[0], int(rest[1])] = [int(rest[2])]
    return steps


def interrupted_mails(paths):
    """The mails whose delivery was under way when the filesystem was killed: sent in that run, and
    never acknowledged."""
    interrupted = set()
    for path in paths:
        killed, open_ = False, set()
        for kind, *rest in lines_of(path) + [["verified"]]:
            if kind == "send":
                open_.add(rest[1])
            elif kind == "mail":
                open_.discard(rest[1])
            elif kind == "killed":
                killed = True
            elif kind == "verified":
                interrupted |= open_ if killed else set()
                killed, open_ = False, set()
    return interrupted


def inbox(instance, user, unfinished=frozenset()):
    """{uid: (id, flags)}, and complaints. `unfinished` are mails that may have EMPTY_HEADER."""
    found, wrong = {}, []
    with Imap(instance, user) as imap:
        imap.select(readonly=True)
        for answer in imap.fetch("1:*", "UID FLAGS BODY.PEEK[]"):
            text = answer["BODY[]"]
            mail = mails.id_of(text)
            where = "%s: UID %d" % (user, answer["UID"])
            if mail is None:
                wrong.append("%s: no mail of ours: %r" % (where, text[:100]))
                continue
            if mail in unfinished and text.startswith(EMPTY_HEADER):
                print("note: %s: an interrupted delivery, without its header" % where)
                text = text[len(EMPTY_HEADER) :]
            difference = mails.difference(mail, text)
            if difference:
                wrong.append("%s: %s" % (where, difference))
            if not mail.startswith((user + "-", user + ".")):
                wrong.append("%s: %s is another user's" % (where, mail))
            flags = sorted(f.decode() for f in answer["FLAGS"] if f != b"\\Recent")
            found[answer["UID"]] = (mail, flags)
    return found, wrong


def verify_mails(user, found, acknowledged):
    times = collections.Counter(mail for mail, _ in found.values())
    wrong = ["%s: acknowledged, but lost: %s" % (user, m) for m in acknowledged if not times[m]]
    return wrong + ["%s: %d times: %s" % (user, n, m) for m, n in times.items() if n > 1]


def shows_unknown_keyword(flags, wanted):
    """Whether the flags are the wanted ones, with keywords that have lost their names: see README."""
    lost = [f for f in flags if f.startswith("unknown-")]
    missing = [f for f in wanted if f not in flags]
    return (
        len(lost) == len(missing) > 0
        and not any(f.startswith("\\") for f in missing)
        and set(flags) - set(lost) == set(wanted) - set(missing)
    )


def verify_flags(user, found, steps):
    wrong = []
    for (owner, uid), allowed in steps.items():
        if owner != user:
            continue
        flags = found[uid][1] if uid in found else None
        if flags is not None and any(
            shows_unknown_keyword(flags, flags_of(step)) for step in allowed[1:]
        ):
            print("note: %s: UID %d: an interrupted first use of a keyword" % (user, uid))
        elif flags not in [flags_of(step) for step in allowed]:
            wrong.append("%s: UID %d: flags %r, acknowledged %r, then tried %r" % (
                user, uid, flags, flags_of(allowed[0]), [flags_of(s) for s in allowed[1:]]))
    return wrong


def verify_snapshot(before, after, ignore_flags):
    """Mails and mailboxes seen before are unchanged; what is new has higher UIDs."""
    wrong = []
    for user, old in before.items():
        for mailbox, was in old["mailboxes"].items():
            now = after[user]["mailboxes"].get(mailbox)
            if now is None:
                wrong.append("%s/%s: the mailbox is gone" % (user, mailbox))
                continue
            if now["uidvalidity"] != was["uidvalidity"] or now["uidnext"] < was["uidnext"]:
                wrong.append(
                    "%s/%s: UIDVALIDITY %s, UIDNEXT %s, were %s, %s" % (
                        user, mailbox, now["uidvalidity"], now["uidnext"],
                        was["uidvalidity"], was["uidnext"])
                )
            for uid, mail in was["mails"].items():
                if uid not in now["mails"]:
                    wrong.append("%s/%s: UID %s is gone" % (user, mailbox, uid))
                    continue
                ignore = ["modseq"] + (["flags"] if ignore_flags(user) else [])
                wrong += state.differences(
                    mail, now["mails"][uid], ignore, "%s/%s/%s" % (user, mailbox, uid)
                )
            for uid in now["mails"]:
                if uid not in was["mails"] and int(uid) < was["uidnext"]:
                    wrong.append("%s/%s: UID %s is used again" % (user, mailbox, uid))
    return wrong


def verify_resync(instance, users):
    """Complaints; and prints, for information, what a resync may say."""
    before = state.users_state(instance, users)
    for user in users:
        run = subprocess.run(
            ["sh", os.path.join(HERE, "..", "support", "dovecot.sh"), "doveadm", instance,
             "force-resync", "-u", user, "*"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        said = [line for line in run.stdout.splitlines() if not RESYNCING.search(line)]
        for line in run.stdout.splitlines():
            if re.search("inconsisten|corrupt", line, re.I):
                print("note: %s: %s" % (user, line))
        if run.returncode or said:
            return ["%s: force-resync: exit %d: %s" % (user, run.returncode, " / ".join(said))]
    # What was there is as it was. A mail more is right: a crash between the storage of an mdbox and
    # the index of the mailbox, before the mail was acknowledged, leaves one that a resync finds.
    after = state.users_state(instance, users)
    wrong = verify_snapshot(before, after, lambda user: False)
    return ["force-resync: " + line for line in wrong]


def let_rebuild(instance, users, boxes=("INBOX",)):
    """Reads all mails of mdboxes. Where a transaction of the storage's map was interrupted, the first
    who needs it rebuilds the map from the files, and his session ends: "please relogin". (So also
    when Dovecot alone is killed and nothing is lost: KEEP_DISK=1 of loss-suite shows that.) Everything
    is compared after that."""
    for user in users:
        for box in boxes:
            for _ in range(3):
                try:
                    with Imap(instance, user) as imap:
                        imap.select(box, readonly=True)
                        imap.fetch("1:*", "UID BODY.PEEK[]")
                    break
                except ProtocolError as error:
                    if "please relogin" not in str(error):
                        raise
                    print("note: %s: %s was rebuilt" % (user, box))


def verify_users(arguments, users, acknowledged, steps):
    wrong = []
    unfinished = interrupted_mails(arguments.record) if arguments.mdbox else frozenset()
    for user in users:
        found, complaints = inbox(arguments.instance, user, unfinished)
        wrong += complaints
        wrong += verify_mails(user, found, acknowledged[user])
        wrong += verify_flags(user, found, steps)
    return wrong


def verify(arguments):
    acknowledged = collections.defaultdict(list)
    for path in arguments.record:
        for kind, *rest in lines_of(path):
            if kind == "mail":
                acknowledged[rest[0]].append(rest[1])
    steps = flag_steps(arguments.record)
    users = deliver_users(arguments) + flag_users(arguments)
    if arguments.mdbox:
        let_rebuild(arguments.instance, users)
    wrong = verify_users(arguments, users, acknowledged, steps)
    if arguments.snapshot:
        with open(arguments.snapshot, encoding="utf-8") as saved:
            before = json.load(saved)
        after = state.users_state(arguments.instance, sorted(before))
        wrong += verify_snapshot(before, after, lambda user: re.match(r"f\d", user))
    if not arguments.no_resync:
        wrong += verify_resync(arguments.instance, users)
        wrong += verify_users(arguments, users, acknowledged, steps)
    if not wrong and arguments.record:
        Record(arguments.record[-1]).add("verified")
    for line in wrong:
        print(line)
    print("%d mails acknowledged, flags of %d, %d complaints" % (
        sum(map(len, acknowledged.values())), len(steps), len(wrong)))
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in (("prepare", prepare), ("deliver-load", deliver_load),
                           ("flag-load", flag_load), ("verify", verify)):
        command = commands.add_parser(name)
        command.set_defaults(run=function)
        command.add_argument("--instance", required=True)
        command.add_argument("--users", type=int, default=4)
        if name == "prepare":
            command.add_argument("--mails", type=int, default=20)
        elif name == "verify":
            command.add_argument("--record", action="append", default=[])
            command.add_argument("--snapshot")
            command.add_argument("--no-resync", action="store_true")
            command.add_argument("--mdbox", action="store_true", help="see EMPTY_HEADER and let_rebuild()")
        else:
            command.add_argument("--record", required=True)
            command.add_argument("--connections", type=int, default=4)
            command.add_argument("--seconds", type=float, default=10)
            command.add_argument("--timeout", type=float, default=60)
        if name == "deliver-load":
            command.add_argument("--series", required=True, help="never used before on this root")
    arguments = parser.parse_args()
    try:
        return arguments.run(arguments)
    except FAILURES as error:
        print("%s: %s" % (arguments.command, error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
