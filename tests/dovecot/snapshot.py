#!/usr/bin/env python3
"""Writes the complete IMAP-visible state of users to a file, or compares it with one.

    snapshot.py take    --instance DIR --users u1,u2 FILE
    snapshot.py compare --instance DIR [--ignore FIELD]... FILE

compare reads the users named in FILE and prints one line per difference; exit status 1 if there
is any. Fields to ignore are for example modseq, highestmodseq (after a force-resync) or flags.
"""

import argparse
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import state  # noqa: E402


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("take", "compare"))
    parser.add_argument("--instance", required=True)
    parser.add_argument("--users", default="")
    parser.add_argument("--ignore", action="append", default=[])
    parser.add_argument("file")
    arguments = parser.parse_args()
    if arguments.command == "take":
        users = [user for user in arguments.users.split(",") if user]
        if not users:
            parser.error("take needs --users")
        with open(arguments.file, "w", encoding="utf-8") as out:
            json.dump(state.users_state(arguments.instance, users), out, indent=1, sort_keys=True)
            out.write("\n")
        return 0
    with open(arguments.file, encoding="utf-8") as saved:
        before = json.load(saved)
    after = state.users_state(arguments.instance, sorted(before))
    found = state.differences(before, after, arguments.ignore)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
