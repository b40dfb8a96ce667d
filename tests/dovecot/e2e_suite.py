#!/usr/bin/env python3
"""Dovecot end to end, over its sockets: every byte, UID, date and flag is compared.

Each test has users of its own. Run by the e2e-suite script, which starts Dovecot and gives the
directory of the instance; see README.md.
"""

import argparse
import itertools
import os
import re
import sys
import threading
import time
import traceback

from e2e_base import Base, Failure, check, in_threads, same, to_epoch
import mails
import state
from dovecot_client import ProtocolError

KEYWORDS = ["$Forwarded", "Junk", "NonJunk", "todo", "k-%d" % 7]


class Suite(Base):
    """The tests, in the order in which they run."""

    # -- delivery ---------------------------------------------------------------------------

    def test_delivery_of_all_sizes(self):
        """mails of 230 bytes to 3 MB arrive byte for byte, in order, dated now"""
        sizes = [230, 231, 4095, 4096, 4097, 8191, 8192, 8193]
        sizes += [65536, 131072, 300001, 1 << 20, 3000000]
        ids = [mails.name("sizes", n, size) for n, size in enumerate(sizes)]
        before = int(time.time())
        self.deliver("sizes", ids)
        same(self.expect("sizes", ids), list(range(1, len(ids) + 1)), "UIDs")
        with self.imap("sizes") as imap:
            imap.select()
            for answer in imap.fetch("1:*", "INTERNALDATE"):
                date = answer["INTERNALDATE"]
                check(before <= to_epoch(date) <= time.time(), "INTERNALDATE %r", date)

    def test_parallel_delivery(self):
        """8 connections deliver 240 mails to 5 users, some to all of them at once"""
        users = ["par%d" % n for n in range(5)]
        sent = {user: [] for user in users}
        lock = threading.Lock()
        # Dovecot 2.3.19 can panic (fcntl: EDEADLK) when parallel deliveries to several users make
        # their mailboxes, on any filesystem: make them before.
        for user in users:
            with self.imap(user) as imap:
                imap.select()

        def worker(number):
            with self.lmtp() as lmtp:
                for n in range(30):
                    mail = mails.name("par-%d" % number, n, 300 + 997 * ((n * 7 + number) % 23))
                    to = users if n % 10 == 0 else [users[(n + number) % len(users)]]
                    lmtp.must_deliver(to, mails.make(mail))
                    with lock:
                        for user in to:
                            sent[user].append(mail)

        in_threads([lambda number=number: worker(number) for number in range(8)])
        for user in users:
            with self.imap(user) as imap:
                imap.select()
                same(sorted(self.contents(imap).values()), sorted(sent[user]), user)
                uids = imap.uids()
                same(uids, list(range(1, len(uids) + 1)), "%s: UIDs" % user)

    # -- folders ----------------------------------------------------------------------------

    def test_folders(self):
        """folders are created, renamed with their mails, subscribed and deleted"""
        ids = [mails.name("folder", n, 500) for n in range(3)]
        with self.imap("folders") as imap:
            sep = "." if self.format == "maildir" else "/"
            for name in ("Work", "Work%sOld" % sep, "M&APw-nchen", "with space"):
                imap.command("CREATE ", '"%s"' % name)
                imap.command("SUBSCRIBE ", '"%s"' % name)
            check(imap.attempt("CREATE Work").startswith(b"NO"), "CREATE of an existing folder")
            validity, _ = imap.append(
                "Work%sOld" % sep, [("", None, mails.make(mail)) for mail in ids]
            )
            names = ["INBOX", "M&APw-nchen", "Work", "Work%sOld" % sep, "with space"]
            same(sorted(imap.list()), names, "LIST")
            same(sorted(imap.list("LSUB")), names[1:], "LSUB")
            imap.command("RENAME Work Archive")
            names = ["Archive", "Archive%sOld" % sep, "INBOX", "M&APw-nchen", "with space"]
            same(sorted(imap.list()), names, "LIST after RENAME")
            facts = imap.select("Archive%sOld" % sep)
            same(facts["uidvalidity"], validity, "UIDVALIDITY after RENAME")
            same(list(self.contents(imap).values()), ids, "mails after RENAME")
            imap.command("UNSELECT")
            imap.command("UNSUBSCRIBE ", '"with space"')
            imap.command("DELETE ", '"with space"')
            imap.command("DELETE ", '"Archive%sOld"' % sep)
            check(imap.attempt('SELECT "Archive%sOld"' % sep).startswith(b"NO"), "deleted folder")
            same(sorted(imap.list()), ["Archive", "INBOX", "M&APw-nchen"], "LIST after DELETE")
            imap.command("CREATE ", '"Archive%sOld"' % sep)
            facts = imap.select("Archive%sOld" % sep)
            same(facts["exists"], 0, "mails in a folder made anew")
            check(facts["uidvalidity"] > validity, "UIDVALIDITY of a folder made anew")

    def test_inbox_rename(self):
        """RENAME INBOX moves the mails away and leaves an empty INBOX"""
        ids = [mails.name("inboxren", n, 700) for n in range(4)]
        self.deliver("inboxren", ids)
        with self.imap("inboxren") as imap:
            imap.select()
            imap.command("UNSELECT")
            if self.format == "maildir":  # Dovecot does not offer it there
                check(imap.attempt("RENAME INBOX Before").startswith(b"NO"), "RENAME INBOX")
                return
            imap.command("RENAME INBOX Before")
        self.expect("inboxren", ids, "Before")
        self.expect("inboxren", [])

    def test_many_folders(self):
        """200 folders in a tree, listed and deleted"""
        sep = "." if self.format == "maildir" else "/"
        names = sorted(sep.join(p) for p in itertools.product("abcde", "fghij", "klmnopqr"))
        with self.imap("tree") as imap:
            for name in names:
                imap.command("CREATE ", '"%s"' % name)
            selectable = [n for n, a in imap.list().items() if n != "INBOX" and n.count(sep) == 2]
            same(sorted(selectable), names, "LIST")
            for name in names:
                imap.command("DELETE ", '"%s"' % name)
            leaves = [n for n in imap.list() if n.count(sep) == 2]
            same(leaves, [], "LIST after DELETE")

    # -- flags ------------------------------------------------------------------------------

    def test_flags(self):
        """flags and keywords are set, removed, replaced and kept"""
        ids = [mails.name("flags", n, 400) for n in range(20)]
        self.deliver("flags", ids)
        system = ["\\Answered", "\\Flagged", "\\Seen", "\\Draft", "\\Deleted"]
        expected = {uid: set() for uid in range(1, 21)}
        with self.imap("flags") as imap:
            imap.select()
            for n, flag in enumerate(system + KEYWORDS):
                imap.store("%d:%d" % (n + 1, n + 8), "+FLAGS (%s)" % flag)
                for uid in range(n + 1, n + 9):
                    expected[uid].add(flag)
            imap.store("3:6", "-FLAGS.SILENT (\\Seen todo)")
            for uid in range(3, 7):
                expected[uid] -= {"\\Seen", "todo"}
            imap.store("19", "FLAGS (\\Flagged Junk)")
            expected[19] = {"\\Flagged", "Junk"}
            expected = {uid: sorted(flags) for uid, flags in expected.items()}
            same(imap.flags(), expected, "flags in the session")
        with self.imap("flags") as imap:
            imap.select()
            same(imap.flags(), expected, "flags in a new session")
        self.restart()
        with self.imap("flags") as imap:
            imap.select()
            same(imap.flags(), expected, "flags after a restart of Dovecot")
        self.expect("flags", ids)

    def test_seen_by_fetch(self):
        """FETCH BODY[] sets Seen, PEEK does not; \\Recent belongs to the first session"""
        ids = [mails.name("seen", n, 3000) for n in range(4)]
        self.deliver("seen", ids)
        with self.imap("seen") as imap:
            same(imap.select()["recent"], 4, "RECENT of the first session")
            imap.fetch("1:2", "BODY.PEEK[]")
            imap.fetch("3", "BODY[]")
            same([u for u, f in imap.flags().items() if "\\Seen" in f], [3], "seen mails")
        with self.imap("seen") as imap:
            same(imap.select()["recent"], 0, "RECENT of the second session")
            same(imap.status("INBOX", "UNSEEN")["unseen"], 3, "UNSEEN")

    # -- moving mails about -----------------------------------------------------------------

    def test_copy(self):
        """COPY keeps bytes, flags and dates, and gives new UIDs in order"""
        ids = [mails.name("copy", n, 1000 + n) for n in range(30)]
        self.deliver("copy", ids)
        with self.imap("copy") as imap:
            imap.command("CREATE Target")
            imap.select()
            imap.store("5:9", "+FLAGS (\\Flagged todo)")
            dates = {a["UID"]: a["INTERNALDATE"] for a in imap.fetch("1:*", "INTERNALDATE")}
            validity, source, target = imap.copy("4:20", "Target")
            same((source, target), (list(range(4, 21)), list(range(1, 18))), "COPYUID")
            same(imap.select("Target")["uidvalidity"], validity, "UIDVALIDITY in COPYUID")
            flags = imap.flags()
            for old, new in zip(source, target):
                same("todo" in flags[new] and "\\Flagged" in flags[new], 5 <= old <= 9, "flags")
            for answer in imap.fetch("1:*", "INTERNALDATE"):
                same(answer["INTERNALDATE"], dates[answer["UID"] + 3], "INTERNALDATE of a copy")
            imap.copy("1:3", "Target")
        self.expect("copy", ids[3:20] + ids[3:6], "Target")
        self.expect("copy", ids)

    def test_move(self):
        """MOVE takes mails from one folder to the other"""
        ids = [mails.name("move", n, 800) for n in range(20)]
        self.deliver("move", ids)
        with self.imap("move") as imap:
            imap.command("CREATE Target")
            imap.select()
            _, source, target = imap.copy("6:10", "Target", move=True)
            same((source, target), ([6, 7, 8, 9, 10], [1, 2, 3, 4, 5]), "COPYUID")
        same(self.expect("move", ids[:5] + ids[10:]), [*range(1, 6), *range(11, 21)], "UIDs")
        self.expect("move", ids[5:10], "Target")

    def test_expunge(self):
        """EXPUNGE and UID EXPUNGE remove exactly the mails meant; UIDs are not used again"""
        ids = [mails.name("expunge", n, 900) for n in range(30)]
        self.deliver("expunge", ids)
        with self.imap("expunge") as imap:
            validity = imap.select()["uidvalidity"]
            imap.store("2,4,6,30", "+FLAGS (\\Deleted)")
            imap.command("UID EXPUNGE 1:4")
            same(imap.uids(), [1, 3] + list(range(5, 31)), "UIDs after UID EXPUNGE")
            imap.command("EXPUNGE")
            same(imap.uids(), [1, 3, 5] + list(range(7, 30)), "UIDs after EXPUNGE")
        more = [mails.name("expunge", n, 950) for n in range(30, 33)]
        self.deliver("expunge", more)
        kept = [ids[uid - 1] for uid in [1, 3, 5] + list(range(7, 30))]
        same(self.expect("expunge", kept + more)[-3:], [31, 32, 33], "UIDs of later mails")
        with self.imap("expunge") as imap:
            facts = imap.select()
            same((facts["uidvalidity"], facts["uidnext"]), (validity, 34), "UIDVALIDITY, UIDNEXT")
            imap.store("1:*", "+FLAGS.SILENT (\\Deleted)")
            imap.command("CLOSE")
            same(imap.select()["exists"], 0, "EXISTS after all were expunged")

    def test_append(self):
        """APPEND keeps bytes, flags and date; MULTIAPPEND is one command"""
        dates = ["05-Feb-2001 10:11:12 +0000", "31-Dec-1999 23:59:59 +0000",
                 "01-Jan-1980 00:00:00 +0000", "29-Feb-2024 12:00:00 +0000"]
        ids = [mails.name("append", n, size) for n, size in enumerate((300, 9000, 70000, 2500000))]
        flags = ["", "\\Seen", "\\Flagged todo", "\\Draft \\Answered Junk"]
        with self.imap("append") as imap:
            imap.command("CREATE One")
            imap.command("CREATE All")
            for n, mail in enumerate(ids):
                _, uids = imap.append("One", [(flags[n], dates[n], mails.make(mail))])
                same(uids, [n + 1], "APPENDUID")
            _, uids = imap.append(
                "All", [(f, d, mails.make(m)) for f, d, m in zip(flags, dates, ids)]
            )
            same(uids, [1, 2, 3, 4], "APPENDUID of MULTIAPPEND")
            for mailbox in ("One", "All"):
                imap.select(mailbox)
                same(list(self.contents(imap).values()), ids, mailbox)
                for n, answer in enumerate(imap.fetch("1:*", "INTERNALDATE FLAGS")):
                    same(to_epoch(answer["INTERNALDATE"]), to_epoch(dates[n].encode()), "date")
                    got = {f.decode() for f in answer["FLAGS"]} - {"\\Recent"}
                    same(got, set(flags[n].split()), "flags of APPEND")
        self.restart()
        with self.imap("append") as imap:
            imap.select("All")
            got = [to_epoch(a["INTERNALDATE"]) for a in imap.fetch("1:*", "INTERNALDATE")]
            same(got, [to_epoch(d.encode()) for d in dates], "dates after a restart")

    # -- reading ----------------------------------------------------------------------------

    def test_partial_fetch(self):
        """parts of a large mail are the same as the whole at every boundary"""
        mail = mails.name("partial", 1, 600000)
        self.deliver("partial", [mail])
        with self.imap("partial") as imap:
            imap.select()
            whole = imap.fetch("1", "BODY.PEEK[]")[0]["BODY[]"]
            header = imap.fetch("1", "BODY.PEEK[HEADER]")[0]["BODY[HEADER]"]
            text = imap.fetch("1", "BODY.PEEK[TEXT]")[0]["BODY[TEXT]"]
            same(header + text, whole, "HEADER and TEXT")
            for start in (0, 1, 4095, 4096, 8192, 131071, 131072, 262144, 599990, 600000):
                for length in (1, 4096, 131072):
                    answer = imap.fetch("1", "BODY.PEEK[]<%d.%d>" % (start, length))[0]
                    same(answer["BODY[]<%d>" % start], whole[start : start + length], "part")

    def test_search(self):
        """SEARCH by header, body, flag, size and date finds what is there"""
        ids = [mails.name("search", n, 500 + 100 * n) for n in range(40)]
        self.deliver("search", ids)
        with self.imap("search") as imap:
            imap.select()
            imap.store("10:19", "+FLAGS (\\Flagged)")
            imap.store("15:29", "+FLAGS (todo)")
            for _ in range(2):  # the second time from the cache
                same(imap.search('SUBJECT "Number 7 of"'), [8], "SUBJECT")
                same(imap.search('HEADER Message-ID "search.12."'), [13], "HEADER")
                same(imap.search("BODY word33word"), [34], "BODY")
                same(imap.search('TEXT "Number 21 of"'), [22], "TEXT")
            same(imap.search("FLAGGED"), list(range(10, 20)), "FLAGGED")
            same(imap.search("FLAGGED KEYWORD todo"), list(range(15, 20)), "KEYWORD")
            neither = [*range(1, 10), *range(30, 41)]
            same(imap.search("NOT FLAGGED NOT KEYWORD todo"), neither, "NOT")
            larger = imap.search("LARGER 4000")
            sizes = {a["UID"]: int(a["RFC822.SIZE"]) for a in imap.fetch("1:*", "RFC822.SIZE")}
            same(larger, [uid for uid in sorted(sizes) if sizes[uid] > 4000], "LARGER")
            same(imap.search("SENTSINCE 1-Jan-2023 UID 5:7"), [5, 6, 7], "SENTSINCE")
            same(imap.search("SENTBEFORE 1-Jan-2023"), [], "SENTBEFORE")
            imap.command("UID SORT (REVERSE SUBJECT) UTF-8 UID 1:3")
            same(imap.untagged[0][0], b"* SORT 3 2 1", "SORT")
            imap.command("UID THREAD REFERENCES UTF-8 UID 1:2")
            same(imap.untagged[0][0], b"* THREAD (1)(2)", "THREAD")

    # -- several sessions -------------------------------------------------------------------

    def test_idle(self):
        """IDLE tells of a delivery, a flag and an expunge of others, within seconds"""
        ids = [mails.name("idle", n, 600) for n in range(2)]
        self.deliver("idle", ids[:1])
        with self.imap("idle") as idler, self.imap("idle") as other:
            idler.select()
            other.select()
            idler.idle_start()
            self.deliver("idle", ids[1:])
            check(idler.idle_wait(rb"\* 2 EXISTS", 35), "no EXISTS after a delivery")
            other.command("NOOP")
            other.store("1", "+FLAGS (\\Flagged)")
            check(idler.idle_wait(rb"\* 1 FETCH .*Flagged", 35), "no FETCH after a STORE")
            other.store("2", "+FLAGS.SILENT (\\Deleted)")
            other.command("EXPUNGE")
            check(idler.idle_wait(rb"\* 2 EXPUNGE", 35), "no EXPUNGE")
            idler.idle_done()

    def test_concurrent_sessions(self):
        """6 sessions deliver, flag, copy and expunge in one mailbox; all agree in the end"""
        user, count = "shared", 40
        base = [mails.name("shared", n, 700 + n) for n in range(count)]
        self.deliver(user, base)
        with self.imap(user) as imap:
            imap.command("CREATE Copies")
        late = [mails.name("late", n, 2000) for n in range(count)]

        def deliver():
            self.deliver(user, late)

        def flag(flag, first):
            with self.imap(user) as imap:
                imap.select()
                for _ in range(3):
                    for uid in range(first, count + 1, 2):
                        imap.store(str(uid), "+FLAGS (%s)" % flag)
                        imap.store(str(uid), "-FLAGS (%s)" % flag)
                imap.store("%d:%d" % (first, count), "+FLAGS (%s)" % flag)

        def copy():
            with self.imap(user) as imap:
                imap.select()
                for uid in range(1, 11):
                    imap.copy(str(uid), "Copies")

        def expunge():
            with self.imap(user) as imap:
                imap.select()
                for uid in range(31, 41):
                    imap.store(str(uid), "+FLAGS.SILENT (\\Deleted)")
                    imap.command("UID EXPUNGE %d" % uid)

        def read():
            with self.imap(user) as imap:
                imap.select()
                for _ in range(6):
                    imap.command("NOOP")
                    self.contents(imap, others_expunge=True)

        in_threads([deliver, lambda: flag("\\Flagged", 1), lambda: flag("odd", 2), copy,
                    expunge, read])
        self.expect(user, base[:10], "Copies")
        with self.imap(user) as imap:
            imap.select()
            found = self.contents(imap)
            same([found.get(uid) for uid in range(1, 31)], base[:30], "mails with a UID before")
            # A delivery that finds the uidlist of a Maildir locked leaves the UID to the next
            # session that looks: the order of those is nobody's promise.
            same(sorted(set(found.values())), sorted(base[:30] + late), "mails in the end")
            same(len(found), len(base[:30] + late), "their number")
            flags = imap.flags()
            check(all("\\Flagged" in flags[uid] for uid in range(1, 31)), "flags of session 1")
            check(all("odd" in flags[uid] for uid in range(2, 31)), "flags of session 2")
            check("odd" not in flags[1], "flag on a mail that nobody set")

    def test_condstore(self):
        """MODSEQ grows with each change and CHANGEDSINCE finds the changes"""
        self.deliver("condstore", [mails.name("condstore", n, 400) for n in range(6)])
        with self.imap("condstore") as imap:
            before = imap.select()["highestmodseq"]
            imap.store("2,5", "+FLAGS (\\Answered)")
            imap.command("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % before)
            same(sorted(a["UID"] for a in imap.fetched()), [2, 5], "CHANGEDSINCE")
        with self.imap("condstore") as imap:
            check(imap.select()["highestmodseq"] > before, "HIGHESTMODSEQ")

    # -- large mailbox, maintenance ---------------------------------------------------------

    def test_large_mailbox(self):
        """a mailbox of many mails: append, read, flag, copy and expunge a third"""
        user, ids = "large", [mails.name("large", n, 600 + n % 4000) for n in range(self.many)]
        with self.imap(user) as imap:
            imap.command("CREATE Copy")
            for first in range(0, len(ids), 100):
                batch = [("", None, mails.make(mail)) for mail in ids[first : first + 100]]
                imap.append("INBOX", batch)
        same(self.expect(user, ids), list(range(1, len(ids) + 1)), "UIDs")
        kept = [uid for uid in range(1, len(ids) + 1) if uid % 3]
        with self.imap(user) as imap:
            imap.select()
            imap.fetch("1:*", "BODY.PEEK[HEADER.FIELDS (Subject Date)]")
            imap.copy("1:*", "Copy")
            for uid in range(3, len(ids) + 1, 3):
                imap.store(str(uid), "+FLAGS.SILENT (\\Deleted)")
            imap.command("EXPUNGE")
            same(imap.uids(), kept, "UIDs after EXPUNGE")
            same(len(imap.search('SUBJECT "Number"')), len(kept), "SEARCH")
        self.expect(user, [ids[uid - 1] for uid in kept])
        self.expect(user, ids, "Copy")

    def test_doveadm(self):
        """doveadm status, purge, force-resync and index leave everything as it was"""
        user = "doveadm"
        self.deliver(user, [mails.name("doveadm", n, 5000) for n in range(60)])
        with self.imap(user) as imap:
            imap.command("CREATE Sub")
            imap.select()
            imap.store("11:20", "+FLAGS (\\Seen todo)")
            imap.copy("1:30", "Sub")
            imap.store("40:50", "+FLAGS.SILENT (\\Deleted)")
            imap.command("EXPUNGE")
            status = imap.status("INBOX", "MESSAGES UIDNEXT UIDVALIDITY UNSEEN")
        out = self.doveadm("mailbox", "status", "-u", user, "messages uidnext uidvalidity unseen",
                           "INBOX")
        got = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", out)}
        same(got, status, "doveadm mailbox status")
        before = state.user_state(self.instance, user)
        self.doveadm("purge", "-u", user)
        same(state.differences(before, state.user_state(self.instance, user)), [], "purge")
        self.doveadm("index", "-u", user, "*")
        same(state.differences(before, state.user_state(self.instance, user)), [], "index")
        self.doveadm("force-resync", "-u", user, "*")
        after = state.user_state(self.instance, user)
        # A resync writes the index anew and may count up the modification sequence.
        same(state.differences(before, after, ("modseq", "highestmodseq")), [], "force-resync")
        if self.format == "mdbox":
            self.purged_mails_are_gone(user)

    def purged_mails_are_gone(self, user):
        with self.imap(user) as imap:
            imap.command("DELETE Sub")
            imap.select()
            imap.store("1:40", "+FLAGS.SILENT (\\Deleted)")
            imap.command("EXPUNGE")
        storage = os.path.join(self.root, user, "mdbox", "storage")
        size = lambda: sum(e.stat().st_size for e in os.scandir(storage) if e.name[:2] == "m.")
        before = size()
        self.doveadm("purge", "-u", user)
        check(size() < before / 2, "purge left %d of %d bytes", size(), before)
        self.expect(user, [mails.name("doveadm", n, 5000) for n in range(50, 60)])

    def test_doveadm_copies(self):
        """doveadm import, move and expunge"""
        ids = [mails.name("import", n, 1500) for n in range(12)]
        self.deliver("import1", ids)
        with self.imap("import2") as imap:
            imap.select()
        self.users.add("import2")
        location = {"maildir": "maildir:%s/import1/Maildir"}.get(
            self.format, self.format + ":%s/import1/" + self.format) % self.root
        self.doveadm("import", "-u", "import2", location, "", "ALL")
        self.expect("import2", ids)
        self.doveadm("mailbox", "create", "-u", "import2", "Box")
        self.doveadm("move", "-u", "import2", "Box", "mailbox", "INBOX", "uid", "3:5")
        self.doveadm("expunge", "-u", "import2", "mailbox", "INBOX", "uid", "1")
        self.expect("import2", ids[1:2] + ids[5:])
        self.expect("import2", ids[2:5], "Box")

    def test_log_rotation(self):
        """thousands of flag changes, over rotations of the index log, lose none"""
        user, count = "rotate", 50
        self.deliver(user, [mails.name("rotate", n, 300) for n in range(count)])
        with self.imap(user) as imap, self.imap(user) as other:
            imap.select()
            other.select()
            for n in range(40):
                for uid in range(1 + n % 2, count + 1, 2):
                    flags = "\\Flagged r%d" % (n % 5) if n % 4 < 2 else "\\Seen"
                    imap.store(str(uid), "FLAGS (%s)" % flags)
                other.command("NOOP")
            expected = imap.flags()
            other.command("NOOP")
            same(other.flags(), expected, "flags seen by the other session")
        with self.imap(user) as imap:
            imap.select()
            same(imap.flags(), expected, "flags in a new session")

    # -- state over restarts ----------------------------------------------------------------

    def test_state_kept(self):
        """all users' state is the same after a restart of Dovecot, an unmount, an eviction"""
        users = sorted(self.users)
        before = state.users_state(self.instance, users)
        steps = [("Dovecot's restart", None)]
        steps += [("unmount and mount", self.remount)] if self.remount else []
        steps += [("eviction", self.evict)] if self.evict else []
        for name, command in steps:
            self.restart(command)
            found = state.differences(before, state.users_state(self.instance, users))
            check(not found, "after %s: %s", name, "; ".join(found[:10]))
        for user in ("sizes", "flags"):
            if user in users:
                self.deliver(user, [mails.name("after", 1, 2000)])
                with self.imap(user) as imap:
                    mailbox = before[user]["mailboxes"]["INBOX"]
                    facts = imap.select()
                    same(facts["uidvalidity"], mailbox["uidvalidity"], "UIDVALIDITY")
                    same(facts["uidnext"], mailbox["uidnext"] + 1, "UIDNEXT after a delivery")

    def test_resync_all(self):
        """doveadm force-resync finds nothing to repair for any user"""
        users = sorted(self.users)
        before = state.users_state(self.instance, users)
        for user in users:
            self.doveadm("force-resync", "-u", user, "*")
        after = state.users_state(self.instance, users)
        found = state.differences(before, after, ("modseq", "highestmodseq"))
        check(not found, "force-resync changed: %s", "; ".join(found[:10]))

    def test_log_is_clean(self):
        """Dovecot complained of nothing"""
        self.restart()


def run(suite, names):
    """TAP on the standard output; the number of failures."""
    print("1..%d" % len(names), flush=True)
    failed = 0
    for number, name in enumerate(names, 1):
        test = getattr(suite, name)
        title = "%s: %s" % (suite.format, " ".join(test.__doc__.split()))
        begun = time.monotonic()
        try:
            test()
        except Exception as error:  # pylint: disable=broad-except
            failed += 1
            print("not ok %d - %s" % (number, title))
            text = str(error) if isinstance(error, (Failure, ProtocolError)) else ""
            for line in (text or traceback.format_exc()).splitlines():
                print("# " + line[:2000])
        else:
            print("ok %d - %s" % (number, title))
        print("# %s took %.1f s" % (name, time.monotonic() - begun), flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instance", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--format", required=True, choices=("maildir", "sdbox", "mdbox"))
    parser.add_argument("--setting", action="append", default=[])
    parser.add_argument("--remount-cmd", default="")
    parser.add_argument("--evict-cmd", default="")
    parser.add_argument("--many", type=int, default=2000)
    parser.add_argument("--only", default="", help="regular expression on the names of tests")
    arguments = parser.parse_args()
    names = [n for n in vars(Suite) if n.startswith("test_") and re.search(arguments.only, n)]
    failed = run(Suite(arguments), names)
    if failed:
        print("# %d of %d failed; log: %s/dovecot.log" % (failed, len(names), arguments.instance))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
