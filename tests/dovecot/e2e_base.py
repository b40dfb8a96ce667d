"""What the end-to-end tests share: comparisons, and the private Dovecot they run against."""

import calendar
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import mails  # noqa: E402
from dovecot_client import Imap, Lmtp  # noqa: E402

SUPPORT = os.path.join(HERE, "..", "support", "dovecot.sh")


class Failure(Exception):
    pass


def check(condition, text, *values):
    if not condition:
        raise Failure(text % values if values else text)


def same(got, expected, what):
    check(got == expected, "%s: got %r, expected %r", what, got, expected)


def in_threads(jobs):
    """Runs the functions at once and raises what the first of them raised."""
    errors = []

    def run(job):
        try:
            job()
        except BaseException as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def to_epoch(date):
    parsed = time.strptime(date.decode(), "%d-%b-%Y %H:%M:%S %z")
    return calendar.timegm(parsed) - parsed.tm_gmtoff


class Base:
    """The instance of Dovecot, the format, the sizes of things."""

    def __init__(self, arguments):
        self.instance = arguments.instance
        self.root = arguments.root
        self.format = arguments.format
        self.many = arguments.many
        self.remount = arguments.remount_cmd
        self.evict = arguments.evict_cmd
        self.lines = arguments.setting
        self.users = set()

    def imap(self, user):
        self.users.add(user)
        return Imap(self.instance, user)

    def lmtp(self):
        return Lmtp(self.instance)

    def shell(self, *words):
        """Runs dovecot.sh; its output."""
        run = subprocess.run(
            ["sh", SUPPORT, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        check(run.returncode == 0, "%s: exit %d: %s", " ".join(words), run.returncode, run.stdout)
        return run.stdout

    def doveadm(self, *words):
        return self.shell("doveadm", self.instance, *words)

    def restart(self, between=None):
        """Stops Dovecot, runs a command, starts Dovecot. The log so far must be clean."""
        self.shell("stop", self.instance)
        try:
            self.shell("check-log", self.instance)
            if between:
                run = subprocess.run(
                    between, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
                )
                check(run.returncode == 0, "%s: exit %d: %s", between, run.returncode, run.stdout)
        finally:
            self.shell("start", self.instance, self.root, self.format, *self.lines)

    def deliver(self, user, ids):
        self.users.add(user)
        with self.lmtp() as lmtp:
            for mail in ids:
                lmtp.must_deliver([user], mails.make(mail))

    def contents(self, imap, others_expunge=False):
        """{uid: id} of the selected mailbox, every mail compared byte for byte."""
        found = {}
        status = imap.attempt("UID FETCH 1:* (UID RFC822.SIZE BODY.PEEK[])")
        check(
            status.startswith(b"OK") or (others_expunge and b"[EXPUNGEISSUED]" in status),
            "%s: FETCH: %r", imap.user, status,
        )
        for answer in imap.fetched():
            if "BODY[]" not in answer:  # another session's flag
                continue
            text = answer["BODY[]"]
            if text == b"NIL" and others_expunge:
                continue
            mail = mails.id_of(text)
            check(mail, "%s: UID %d is no mail of ours: %r", imap.user, answer["UID"], text[:200])
            wrong = mails.difference(mail, text)
            check(wrong is None, "%s: UID %d: %s", imap.user, answer["UID"], wrong)
            same(int(answer["RFC822.SIZE"]), len(text), "%s: RFC822.SIZE" % mail)
            found[answer["UID"]] = mail
        return found

    def expect(self, user, ids, mailbox="INBOX"):
        """The mailbox holds exactly these mails, in this order; their UIDs."""
        with self.imap(user) as imap:
            same(imap.select(mailbox)["exists"], len(ids), "%s/%s: EXISTS" % (user, mailbox))
            found = self.contents(imap) if ids else {}
        got = [found[uid] for uid in sorted(found)]
        check(
            got == list(ids), "%s/%s: missing %r, unexpected %r, first out of order %r",
            user, mailbox, sorted(set(ids) - set(got)), sorted(set(got) - set(ids)),
            next(((uid, found[uid], mail) for uid, mail in zip(sorted(found), ids)
                  if found[uid] != mail), None),
        )
        return sorted(found)
