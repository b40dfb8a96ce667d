"""The complete IMAP-visible state of users, as JSON-able dicts, and the difference of two.

For each user: LIST and LSUB; for each mailbox UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ, and for each
mail, by UID: flags (with \\Recent), INTERNALDATE, RFC822.SIZE, MODSEQ, and digests of all its
bytes and of what Dovecot derives and caches (ENVELOPE, BODYSTRUCTURE). Reading changes nothing:
mailboxes are opened with EXAMINE, bodies fetched with PEEK.
"""

import hashlib

from dovecot_client import Imap

BATCH = 200
ITEMS = "UID FLAGS INTERNALDATE RFC822.SIZE MODSEQ"


def digest(value):
    return hashlib.sha256(repr(value).encode()).hexdigest()[:32]


def mailbox_state(imap, mailbox):
    facts = imap.select(mailbox, readonly=True)
    state = {key: facts.get(key) for key in ("uidvalidity", "uidnext", "highestmodseq")}
    state["exists"] = facts["exists"]
    mails = state["mails"] = {}
    for first in range(1, facts["exists"] + 1, BATCH):
        span = "%d:%d" % (first, min(first + BATCH - 1, facts["exists"]))
        derived = {a["SEQ"]: a for a in imap.fetch(span, "ENVELOPE BODYSTRUCTURE", uid=False)}
        for answer in imap.fetch(span, ITEMS + " BODY.PEEK[]", uid=False):
            mails[str(answer["UID"])] = {
                "flags": sorted(flag.decode() for flag in answer["FLAGS"]),
                "date": answer["INTERNALDATE"].decode(),
                "size": int(answer["RFC822.SIZE"]),
                "modseq": int(answer["MODSEQ"][0]),
                "sha256": hashlib.sha256(answer["BODY[]"]).hexdigest(),
                "envelope": digest(derived[answer["SEQ"]]["ENVELOPE"]),
                "structure": digest(derived[answer["SEQ"]]["BODYSTRUCTURE"]),
            }
    if len(mails) != facts["exists"]:
        raise AssertionError(
            "%s/%s: %d mails, %d UIDs" % (imap.user, mailbox, facts["exists"], len(mails))
        )
    return state


def user_state(instance, user):
    with Imap(instance, user) as imap:
        names = imap.list()
        state = {"list": names, "lsub": imap.list("LSUB"), "mailboxes": {}}
        for mailbox, attributes in sorted(names.items()):
            if "\\Noselect" not in attributes and "\\NonExistent" not in attributes:
                state["mailboxes"][mailbox] = mailbox_state(imap, mailbox)
    # Whether there is something new in a mailbox ("\Marked") depends on when one asks.
    for listing in (state["list"], state["lsub"]):
        for name in listing:
            listing[name] = [a for a in listing[name] if a not in ("\\Marked", "\\UnMarked")]
    return state


def users_state(instance, users):
    return {user: user_state(instance, user) for user in users}


def differences(before, after, ignore=(), path=""):
    """Readable lines, one per difference; fields named in `ignore` are left out."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key in sorted(set(before) | set(after)):
            if key in ignore:
                continue
            where = "%s/%s" % (path, key)
            if key not in after:
                found.append("%s: is gone" % where)
            elif key not in before:
                found.append("%s: is new" % where)
            else:
                found += differences(before[key], after[key], ignore, where)
        return found
    if before != after:
        return ["%s: was %r, is %r" % (path, before, after)]
    return []
