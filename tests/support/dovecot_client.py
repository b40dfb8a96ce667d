"""IMAP and LMTP clients for the tests and benchmarks of a private Dovecot (see dovecot.sh).

Small on purpose: blocking sockets, every answer parsed completely, any answer that was not
expected is an exception. Python's imaplib is not used because it has no IDLE, no unix sockets
and leaves the parsing of FETCH to its callers.
"""

import re
import select
import socket

CRLF = b"\r\n"


class ProtocolError(Exception):
    """The server answered something else than what the caller asked for."""


class _Connection:
    """A socket with lines and counted bytes."""

    def __init__(self, path, timeout):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        try:
            self.sock.connect(path)
        except OSError:
            self.sock.close()
            raise
        self.buffer = bytearray()
        self.at = 0

    def _fill(self):
        if self.at:
            del self.buffer[: self.at]
            self.at = 0
        data = self.sock.recv(1 << 18)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data

    def line(self):
        """The next line, without its CRLF."""
        seen = self.at
        while True:
            end = self.buffer.find(b"\n", seen)
            if end >= 0:
                line = bytes(self.buffer[self.at : end])
                self.at = end + 1
                return line[:-1] if line.endswith(b"\r") else line
            seen = len(self.buffer) - self.at
            self._fill()

    def exactly(self, count):
        while len(self.buffer) - self.at < count:
            self._fill()
        data = bytes(self.buffer[self.at : self.at + count])
        self.at += count
        return data

    def send(self, data):
        self.sock.sendall(data)

    def readable(self, seconds):
        if self.at < len(self.buffer):
            return True
        return bool(select.select([self.sock], [], [], seconds)[0])

    def close(self):
        self.sock.close()


# ---------------------------------------------------------------------------------------- IMAP

_TOKEN = re.compile(rb'[()]|"(?:[^"\\]|\\.)*"|[^\s()"]+(?:\[[^\]]*\][^\s()]*)?')


def _parse(pieces):
    """Nested lists of bytes from a response: pieces alternate between text and literals."""
    stack = [[]]
    for index, piece in enumerate(pieces):
        if index % 2:
            stack[-1].append(piece)
            continue
        for match in _TOKEN.finditer(piece):
            token = match.group()
            if token == b"(":
                stack.append([])
            elif token == b")":
                done = stack.pop()
                stack[-1].append(done)
            elif token.startswith(b'"'):
                stack[-1].append(re.sub(rb"\\(.)", rb"\1", token[1:-1]))
            else:
                stack[-1].append(token)
    if len(stack) != 1:
        raise ProtocolError("unbalanced response: %r" % (pieces[0][:200],))
    return stack[0]


def quoted(name):
    """A mailbox name or any other string as IMAP writes it."""
    if isinstance(name, str):
        name = name.encode()
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


class Imap:
    """One logged-in session. Answers to the last command are in `untagged` (nested lists)."""

    def __init__(self, instance, user, timeout=120):
        self.user = user
        self.connection = _Connection(instance + "/imap.sock", timeout)
        self.number = 0
        self.untagged = []
        try:
            greeting = self.connection.line()
            if not greeting.startswith(b"* OK"):
                raise ProtocolError("greeting: %r" % greeting)
            self.command(b"LOGIN " + quoted(user) + b" x")
        except BaseException:
            self.connection.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.logout()
        else:
            self.connection.close()

    def logout(self):
        self.command(b"LOGOUT")
        self.connection.close()

    def close(self):
        """Drops the connection without a word."""
        self.connection.close()

    def _pieces(self):
        """One response: [text, literal, text, literal, ..., text]."""
        pieces = []
        while True:
            line = self.connection.line()
            literal = re.search(rb"~?\{(\d+)\}$", line)
            if not literal:
                pieces.append(line)
                return pieces
            pieces.append(line[: literal.start()])
            pieces.append(self.connection.exactly(int(literal.group(1))))

    def _collect(self, tag):
        self.untagged = []
        while True:
            pieces = self._pieces()
            if pieces[0].startswith(tag + b" "):
                return pieces[0][len(tag) + 1 :]
            if pieces[0].startswith(b"* BYE") and b"Logging out" not in pieces[0]:
                raise ProtocolError("%s: %r" % (self.user, pieces[0]))
            self.untagged.append(pieces)

    def attempt(self, *parts):
        """Sends a command (str, or bytes, literals as ("literal", bytes)); its status line."""
        self.number += 1
        tag = b"t%d" % self.number
        out = bytearray(tag + b" ")
        for part in parts:
            if isinstance(part, tuple):
                out += b"{%d+}\r\n" % len(part[1]) + part[1]
            else:
                out += part.encode() if isinstance(part, str) else part
        self.connection.send(bytes(out) + CRLF)
        return self._collect(tag)

    def command(self, *parts):
        """Like attempt, but anything else than OK is an exception."""
        status = self.attempt(*parts)
        if not status.startswith(b"OK"):
            raise ProtocolError("%s: %r: %r" % (self.user, parts[0][:100], status))
        return status

    # -- what the tests ask for -------------------------------------------------------------

    def select(self, mailbox="INBOX", readonly=False):
        """The facts of the mailbox: exists, recent, uidvalidity, uidnext, highestmodseq."""
        verb = b"EXAMINE " if readonly else b"SELECT "
        self.command(verb + quoted(mailbox) + b" (CONDSTORE)")
        facts = {}
        for pieces in self.untagged:
            count = re.match(rb"\* (\d+) (EXISTS|RECENT)$", pieces[0])
            if count:
                facts[count.group(2).decode().lower()] = int(count.group(1))
            code = re.match(rb"\* OK \[(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ) (\d+)\]", pieces[0])
            if code:
                facts[code.group(1).decode().lower()] = int(code.group(2))
        return facts

    def fetched(self):
        """The FETCH answers of the last command as dicts of upper-case names, with "SEQ"."""
        answers = []
        for pieces in self.untagged:
            head = re.match(rb"\* (\d+) FETCH ", pieces[0])
            if not head:
                continue
            items = _parse([pieces[0][head.end() :]] + pieces[1:])[0]
            answer = {"SEQ": int(head.group(1))}
            for name, value in zip(items[0::2], items[1::2]):
                answer[name.decode().upper()] = value
            if "UID" in answer:
                answer["UID"] = int(answer["UID"])
            answers.append(answer)
        return answers

    def fetch(self, messages, items, uid=True):
        self.command("%sFETCH %s (%s)" % ("UID " if uid else "", messages, items))
        return self.fetched()

    def store(self, messages, what, uid=True):
        """`what` is for example "+FLAGS (\\Seen)"."""
        self.command("%sSTORE %s %s" % ("UID " if uid else "", messages, what))
        return self.fetched()

    def flags(self):
        """{uid: sorted flags} of the selected mailbox, without \\Recent."""
        return {
            a["UID"]: sorted(f.decode() for f in a["FLAGS"] if f != b"\\Recent")
            for a in self.fetch("1:*", "FLAGS")
        }

    def uids(self):
        return [a["UID"] for a in self.fetch("1:*", "UID")]

    def search(self, *criteria):
        """The UIDs found."""
        self.command("UID SEARCH ", *criteria)
        found = []
        for pieces in self.untagged:
            if pieces[0].startswith(b"* SEARCH"):
                found += [int(word) for word in pieces[0].split()[2:]]
        return sorted(found)

    def append(self, mailbox, mails):
        """mails: list of (flags, date or None, bytes), appended by one command.
        Returns (uidvalidity, [uid])."""
        parts = [b"APPEND " + quoted(mailbox)]
        for flags, date, text in mails:
            parts.append(" (%s)" % flags)
            if date is not None:
                parts.append(' "%s"' % date)
            parts += [" ", ("literal", text)]
        status = self.command(*parts)
        code = re.search(rb"\[APPENDUID (\d+) ([\d:,]+)\]", status)
        if not code:
            raise ProtocolError("no APPENDUID: %r" % status)
        return int(code.group(1)), uid_set(code.group(2))

    def copy(self, messages, mailbox, move=False):
        """Returns (uidvalidity, [source uid], [target uid])."""
        verb = "MOVE" if move else "COPY"
        status = self.command("UID %s %s " % (verb, messages), quoted(mailbox))
        texts = [status] + [pieces[0] for pieces in self.untagged]
        for text in texts:
            code = re.search(rb"\[COPYUID (\d+) ([\d:,]+) ([\d:,]+)\]", text)
            if code:
                return int(code.group(1)), uid_set(code.group(2)), uid_set(code.group(3))
        raise ProtocolError("no COPYUID: %r" % texts)

    def status(self, mailbox, items="MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT"):
        self.command(b"STATUS " + quoted(mailbox) + b" (" + items.encode() + b")")
        for pieces in self.untagged:
            if pieces[0].startswith(b"* STATUS "):
                words = _parse([pieces[0][len(b"* STATUS ") :]] + pieces[1:])[1]
                return {k.decode().lower(): int(v) for k, v in zip(words[0::2], words[1::2])}
        raise ProtocolError("no STATUS answer for %s" % mailbox)

    def list(self, verb="LIST", pattern="*"):
        """{name: sorted attributes}"""
        self.command('%s "" "%s"' % (verb, pattern))
        names = {}
        for pieces in self.untagged:
            if pieces[0].startswith(b"* %s " % verb.encode()):
                parsed = _parse([pieces[0][len(verb) + 3 :]] + pieces[1:])
                names[parsed[2].decode()] = sorted(a.decode() for a in parsed[0])
        return names

    def idle_start(self):
        self.number += 1
        self.idle_tag = b"t%d" % self.number
        self.connection.send(self.idle_tag + b" IDLE" + CRLF)
        line = self.connection.line()
        if not line.startswith(b"+"):
            raise ProtocolError("IDLE: %r" % line)

    def idle_wait(self, pattern, seconds):
        """Waits for a response that matches; False when none came in time."""
        while self.connection.readable(seconds):
            if re.search(pattern, self._pieces()[0]):
                return True
        return False

    def idle_done(self):
        self.connection.send(b"DONE" + CRLF)
        self._collect(self.idle_tag)


def uid_set(text):
    """The numbers of "1:3,7"."""
    numbers = []
    for part in text.decode().split(","):
        first, _, last = part.partition(":")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


# ---------------------------------------------------------------------------------------- LMTP


class Lmtp:
    """One LMTP connection."""

    def __init__(self, instance, timeout=120):
        self.connection = _Connection(instance + "/lmtp.sock", timeout)
        try:
            self._expect(b"220")
            self.connection.send(b"LHLO test" + CRLF)
            self._expect(b"250")
        except BaseException:
            self.connection.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def close(self):
        self.connection.close()

    def _reply(self):
        while True:
            line = self.connection.line()
            if line[3:4] != b"-":
                return line

    def _expect(self, code):
        reply = self._reply()
        if not reply.startswith(code):
            raise ProtocolError("LMTP: %r, expected %r" % (reply, code))

    def deliver(self, users, text):
        """One mail to all users: {user: its final reply}. A refusal is not an exception."""
        self.connection.send(
            b"MAIL FROM:<sender@mailfs.test>\r\n"
            + b"".join(b"RCPT TO:<%s>\r\n" % user.encode() for user in users)
        )
        self._expect(b"250")
        replies = {user: self._reply() for user in users}
        accepted = [user for user in users if replies[user].startswith(b"250")]
        if not accepted:
            self.connection.send(b"RSET" + CRLF)
            self._expect(b"250")
            return replies
        self.connection.send(b"DATA" + CRLF)
        self._expect(b"354")
        if text.startswith(b"."):
            text = b"." + text
        self.connection.send(text.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        for user in accepted:
            replies[user] = self._reply()
        return replies

    def must_deliver(self, users, text):
        for user, reply in self.deliver(users, text).items():
            if not reply.startswith(b"250"):
                raise ProtocolError("delivery to %s: %r" % (user, reply))
