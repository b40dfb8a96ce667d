"""Deterministic mails: the id says everything, so every byte can be compared afterwards.

An id is "<series>.<number>.<size>"; make(id) is always the same mail of exactly <size> bytes,
with CRLF line ends. Series are made of letters, digits, "-" and "_".
"""

import base64
import email.utils
import hashlib
import re

SMALLEST = 230
_ID = re.compile(rb"^Message-ID: <([A-Za-z0-9_-]+\.\d+\.\d+)@mailfs\.test>\r$", re.M)
# What Dovecot's LMTP server puts before the mail it was given.
_TRACE = re.compile(
    rb"(Return-Path: <[^\r\n]*>\r\n"
    rb"|Delivered-To: [^\r\n]*\r\n"
    rb"|Received: from [^\r\n]*\r\n([ \t][^\r\n]*\r\n)+)*"
)


def name(series, number, size):
    return "%s.%d.%d" % (series, number, size)


def number_of(mail):
    return int(mail.split(".")[1])


def make(mail):
    """The bytes of the mail with this id."""
    series, number, size = mail.split(".")
    number, size = int(number), int(size)
    date = email.utils.formatdate(1700000000 + 61 * number)
    head = (
        "Message-ID: <%s@mailfs.test>\r\nFrom: sender@mailfs.test\r\nTo: %s@mailfs.test\r\n"
        "Date: %s\r\nSubject: Number %d of %s\r\n\r\n" % (mail, series, date, number, series)
    ).encode()
    if size < len(head) + 2:
        raise ValueError("%s: a mail has at least %d bytes" % (mail, len(head) + 2))
    # The lines that mail software gets wrong: dots, "From ", empty, long, 8 bit.
    body = bytearray(
        b".\r\n..two dots\r\nFrom here on\r\n\r\n\xc3\xa4\xff\x80 8 bit\r\n" + b"x" * 900 + b"\r\n"
        b"word%dword\r\n" % number
        if size > 2000
        else b"word%dword\r\n" % number
    )
    want = size - len(head)
    if len(body) < want:
        noise = hashlib.shake_256(mail.encode()).digest((want - len(body)) * 3 // 4 + 3)
        text = base64.b64encode(noise)
        body += b"\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    del body[want - 2 :]
    if body.endswith(b"\r"):
        body[-1:] = b"x"
    return head + bytes(body) + b"\r\n"


def id_of(text):
    """The id in the bytes of a mail, or None."""
    found = _ID.search(text[:8192])
    return found.group(1).decode() if found else None


def difference(mail, text):
    """None if text is the mail, possibly after Dovecot's own headers; else what is wrong."""
    expected = make(mail)
    if text.endswith(expected):
        trace = text[: len(text) - len(expected)]
        if _TRACE.fullmatch(trace):
            return None
        return "%s: unexpected bytes before the mail: %r" % (mail, trace[:200])
    start = text.find(b"Message-ID: <" + mail.encode())
    got = text[start:] if start >= 0 else text
    at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), len(got))
    return "%s: differs at byte %d of %d (got %d bytes): %r instead of %r" % (
        mail, at, len(expected), len(got), got[at : at + 40], expected[at : at + 40],
    )
