#!/usr/bin/env python3
"""Load for a machine that is going to be lost with its disk, and the check of what a second machine
has: deliveries, flag changes and moves over several sessions, and clients that look at UIDs.

    loss_load.py prepare --instance DIR
    loss_load.py load    --instance DIR --record FILE --series S [--seconds N]
    loss_load.py verify  --instance DIR --record FILE [--slack SECONDS] [--mdbox]

The record is load.py's: "send" and "mail" (or "refused") of deliveries, and "killed" and "verified" by who kills and
verifies. Besides:

    seen USER UIDVALIDITY UID MAIL          a client saw it
    try-flag, flag USER UID STEP TIME       before a STORE, and when it was answered OK
    try-move, move USER MAIL MAILBOX UID TIME
    killed TIME

What verify demands: each mail acknowledged by LMTP is there exactly once, byte for byte, under the
UID and UIDVALIDITY that a client saw. A change that no fsync covers is on the backend within about
commit_interval: flags and moves that were answered more than --slack seconds before the end are as
they were answered, later ones may be missing, but a moved mail is in one of the two mailboxes at
least. And `doveadm force-resync` finds nothing.
"""

import argparse
import collections
import os
import random
import re
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import load  # noqa: E402
import mails  # noqa: E402
from dovecot_client import Imap, Lmtp, ProtocolError  # noqa: E402

USERS, MAILS = 4, 20
BOXES = ["INBOX", "Box"]
WINDOW = 8  # so many mails get flags at one time; then others, so that most are settled

# A move in an sdbox notes the expunge in the index, and removes the file later. When the machine is
# lost between the two, a resync brings the mail back: see README.
RESURRECTED = re.compile(r"force-resync: g\d/\S+: UID \d+ is used again$")


def users_of(letter):
    return ["%s%d" % (letter, n) for n in range(1, USERS + 1)]


ALL_USERS = users_of("u") + users_of("f") + users_of("g")


def now():
    return "%.3f" % time.time()


# -- load -----------------------------------------------------------------------------------


def prepare(arguments):
    for user in ALL_USERS:
        with Imap(arguments.instance, user) as imap:
            imap.select()
            if user.startswith("g"):
                imap.command(b"CREATE Box")
    with Lmtp(arguments.instance) as lmtp:
        for user in users_of("f") + users_of("g"):
            for n in range(MAILS):
                lmtp.must_deliver([user], mails.make(mails.name(user, n, 600)))
    return 0


class Load:
    def __init__(self, arguments):
        self.arguments = arguments
        self.begin = time.monotonic()
        self.record = load.Record(arguments.record)
        self.histories = read_histories(arguments.record, 0)

    def goes_on(self):
        return time.monotonic() < self.begin + self.arguments.seconds

    def imap(self, user):
        return Imap(self.arguments.instance, user, self.arguments.timeout)

    def deliver(self, number):
        random_ = random.Random("%s %d" % (self.arguments.series, number))
        with Lmtp(self.arguments.instance, timeout=self.arguments.timeout) as lmtp:
            count = 0
            while self.goes_on():
                user = random_.choice(users_of("u"))
                size = random_.randint(300, 20000)
                if random_.random() < 0.03:
                    size = random_.randint(100000, 1500000)
                series = "%s-%s-%d" % (user, self.arguments.series, number)
                mail = mails.name(series, count, size)
                self.record.add("send", user, mail)
                reply = lmtp.deliver([user], mails.make(mail))[user]
                count += 1
                if reply.startswith(b"250"):
                    self.record.add("mail", user, mail)
                elif reply.startswith(b"4"):
                    self.record.add("refused", user, mail)
                    time.sleep(0.2)
                else:
                    raise ProtocolError("delivery to %s: %r" % (user, reply))

    def flags(self, number):
        sessions = {user: self.imap(user) for user in users_of("f")[number::2]}
        targets = []
        for user, imap in sessions.items():
            imap.select()
            targets += [(user, uid) for uid in imap.uids()]
        steps = {t: self.histories[("flag",) + t].last_number() for t in targets}
        random_ = random.Random(number)
        while self.goes_on() and targets:
            at = int((time.monotonic() - self.begin) * 4) + random_.randrange(WINDOW)
            user, uid = target = targets[at % len(targets)]
            steps[target] += 1
            self.record.add("try-flag", user, uid, steps[target], now())
            wanted = " ".join(load.flags_of(steps[target]))
            sessions[user].store(str(uid), "FLAGS.SILENT (%s)" % wanted)
            self.record.add("flag", user, uid, steps[target], now())
            time.sleep(0.01)

    def moves(self, number):
        """Mails that are in one mailbox only go to the other and back."""
        user = users_of("g")[number]
        with self.imap(user) as imap:
            places = collections.defaultdict(list)
            for box in BOXES:
                for mail, uid in mails_in(imap, box):
                    places[mail].append((box, uid))
            single = [mail for mail in sorted(places) if len(places[mail]) == 1]
            random_ = random.Random(number)
            while self.goes_on() and single:
                at = int((time.monotonic() - self.begin) * 2) + random_.randrange(WINDOW // 2)
                mail = single[at % len(single)]
                box, uid = places[mail][0]
                other = BOXES[1 - BOXES.index(box)]
                imap.select(box)
                self.record.add("try-move", user, mail, other, 0, now())
                _, _, targets = imap.copy(str(uid), other, move=True)
                self.record.add("move", user, mail, other, targets[0], now())
                places[mail] = [(other, targets[0])]
                time.sleep(0.05)

    def watch(self, number):
        """Polls as a client does, and writes down each new mail's UID."""
        sessions = {user: self.imap(user) for user in users_of("u")[number::2]}
        last = dict.fromkeys(sessions, 0)
        while self.goes_on():
            for user, imap in sessions.items():
                facts = imap.select(readonly=True)
                if facts["uidnext"] <= last[user] + 1:
                    continue
                for answer in imap.fetch("%d:*" % (last[user] + 1), "UID BODY.PEEK[HEADER]"):
                    mail = mails.id_of(answer["BODY[HEADER]"])
                    if answer["UID"] > last[user] and mail is not None:
                        self.record.add("seen", user, facts["uidvalidity"], answer["UID"], mail)
                        last[user] = answer["UID"]
            time.sleep(0.2)

    def worker(self, work, number):
        try:
            work(number)
        except load.FAILURES as error:
            print("# %s %d ends: %s" % (work.__name__, number, error), file=sys.stderr)

    def run(self):
        work = [(self.deliver, self.arguments.connections), (self.flags, 2),
                (self.moves, 2), (self.watch, 2)]
        threads = [
            threading.Thread(target=self.worker, args=(function, number))
            for function, count in work
            for number in range(count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print("%d lines" % self.record.count)
        return 0


# -- verification ---------------------------------------------------------------------------


class History:
    """The values that one thing may have now: `allowed`, the first of them acknowledged."""

    def __init__(self, first):
        self.allowed = [first]
        self.run = []  # (value, time of its acknowledgement or None)
        self.over = False

    def tried(self, value):
        if self.over:
            self.allowed.append(value)
        else:
            self.run.append((value, None))

    def acknowledged(self, value, when):
        if not self.over and self.run:
            self.run[-1] = (value, when)

    def killed(self, when, slack):
        settled = [n for n, (_, t) in enumerate(self.run) if t is not None and t <= when - slack]
        values = [value for value, _ in self.run]
        self.allowed = values[settled[-1] :] if settled else self.allowed + values
        self.run, self.over = [], True

    def last_number(self):
        """The greatest of all, where values are numbers."""
        return max(self.allowed + [value for value, _ in self.run])


def read_histories(path, slack):
    """{("flag", user, uid) or ("move", user, mail): History}"""
    histories = {}

    def history(*key):
        first = 0 if key[0] == "flag" else ("INBOX", 0)
        return histories.setdefault(key, History(first))

    for user in users_of("f"):
        for uid in range(1, MAILS + 1):
            history("flag", user, uid)
    for kind, *rest in load.lines_of(path) if os.path.exists(path) else []:
        if kind in ("try-flag", "flag"):
            h, value = history("flag", rest[0], int(rest[1])), int(rest[2])
        elif kind in ("try-move", "move"):
            h, value = history("move", rest[0], rest[1]), (rest[2], int(rest[3]))
        if kind.startswith("try-"):
            h.tried(value)
        elif kind in ("flag", "move"):
            h.acknowledged(value, float(rest[-1]))
        elif kind == "killed":
            for h in histories.values():
                h.killed(float(rest[0]), slack)
        elif kind == "verified":
            for h in histories.values():
                h.over = False
    return histories


def mails_in(imap, box):
    imap.select(box, readonly=True)
    found = []
    for answer in imap.fetch("1:*", "UID BODY.PEEK[]"):
        mail = mails.id_of(answer["BODY[]"])
        difference = mails.difference(mail, answer["BODY[]"]) if mail else "no mail of ours"
        if difference:
            raise ProtocolError("%s/%s: UID %d: %s" % (imap.user, box, answer["UID"], difference))
        found.append((mail, answer["UID"]))
    return found


def verify_deliveries(arguments, lines):
    wrong, n_seen = [], 0
    unfinished = load.interrupted_mails([arguments.record]) if arguments.mdbox else frozenset()
    acknowledged = {(user, mail) for kind, user, mail in
                    (line for line in lines if line[0] == "mail")}
    for user in users_of("u"):
        found, complaints = load.inbox(arguments.instance, user, unfinished)
        wrong += complaints
        wrong += load.verify_mails(user, found, [m for u, m in acknowledged if u == user])
        with Imap(arguments.instance, user) as imap:
            uidvalidity = imap.select(readonly=True)["uidvalidity"]
        uids = {mail: uid for uid, (mail, _) in found.items()}
        for kind, *rest in lines:
            if kind != "seen" or rest[0] != user or (user, rest[3]) not in acknowledged:
                continue
            n_seen += 1
            if (int(rest[1]), int(rest[2])) != (uidvalidity, uids.get(rest[3])):
                wrong.append("%s: %s was UID %s of %s, is %s of %d" % (
                    user, rest[3], rest[2], rest[1], uids.get(rest[3]), uidvalidity))
    return wrong, len(acknowledged), n_seen


def verify_flags(arguments, histories):
    wrong, n_settled = [], 0
    for user in users_of("f"):
        found, complaints = load.inbox(arguments.instance, user)
        wrong += complaints
        if len(found) != MAILS:
            wrong.append("%s: %d mails, of %d" % (user, len(found), MAILS))
        for (kind, owner, uid), history in histories.items():
            if kind != "flag" or owner != user:
                continue
            flags = found[uid][1] if uid in found else None
            allowed = [load.flags_of(step) for step in history.allowed]
            n_settled += len(allowed) == 1 and allowed[0] != []
            if flags is not None and any(load.shows_unknown_keyword(flags, f) for f in allowed):
                print("note: %s: UID %d: an interrupted first use of a keyword" % (user, uid))
            elif flags not in allowed:
                wrong.append("%s: UID %d: flags %r, allowed %r" % (user, uid, flags, allowed))
    return wrong, n_settled


def verify_moves(arguments, histories):
    wrong, n_settled = [], 0
    for user in users_of("g"):
        places = collections.defaultdict(list)
        with Imap(arguments.instance, user) as imap:
            for box in BOXES:
                for mail, uid in mails_in(imap, box):
                    places[mail].append((box, uid))
        for n in range(MAILS):
            mail = mails.name(user, n, 600)
            history = histories.get(("move", user, mail))
            if not 1 <= len(places[mail]) <= len(BOXES) or (
                len(places[mail]) > 1 and history is None
            ):
                wrong.append("%s: %s is in %r" % (user, mail, places[mail]))
            elif history is not None and len(history.allowed) == 1 and history.allowed[0][1]:
                n_settled += 1
                if history.allowed[0] not in places[mail]:
                    wrong.append("%s: %s is in %r, was moved to %r" % (
                        user, mail, places[mail], history.allowed[0]))
    return wrong, n_settled


def verify_all(arguments):
    lines = load.lines_of(arguments.record)
    histories = read_histories(arguments.record, arguments.slack)
    wrong, n_mails, n_seen = verify_deliveries(arguments, lines)
    wrong_flags, n_flags = verify_flags(arguments, histories)
    wrong_moves, n_moves = verify_moves(arguments, histories)
    return wrong + wrong_flags + wrong_moves, "%d mails acknowledged, UIDs of %d seen, " \
        "flags of %d and places of %d settled" % (n_mails, n_seen, n_flags, n_moves)


def verify(arguments):
    if arguments.mdbox:
        load.let_rebuild(arguments.instance, ALL_USERS)
        load.let_rebuild(arguments.instance, users_of("g"), BOXES)
    wrong, said = verify_all(arguments)
    if not wrong:
        wrong = [line for line in load.verify_resync(arguments.instance, ALL_USERS)
                 if not RESURRECTED.match(line)]
        wrong += ["after a resync: " + line for line in verify_all(arguments)[0]]
    if not wrong:
        load.Record(arguments.record).add("verified")
    for line in wrong[:30]:
        print(line)
    print("%s, %d complaints" % (said, len(wrong)))
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in (("prepare", prepare), ("load", lambda a: Load(a).run()),
                           ("verify", verify)):
        command = commands.add_parser(name)
        command.set_defaults(run=function)
        command.add_argument("--instance", required=True)
        if name != "prepare":
            command.add_argument("--record", required=True)
        if name == "load":
            command.add_argument("--series", required=True, help="never used before")
            command.add_argument("--connections", type=int, default=6)
            command.add_argument("--seconds", type=float, default=60)
            command.add_argument("--timeout", type=float, default=60)
        if name == "verify":
            command.add_argument("--slack", type=float, default=5)
            command.add_argument("--mdbox", action="store_true", help="see load.py")
    arguments = parser.parse_args()
    try:
        return arguments.run(arguments)
    except load.FAILURES as error:
        print("%s: %s" % (arguments.command, error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
