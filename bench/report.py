#!/usr/bin/env python3
"""The tables of a result of dovecot-bench: report.py FILE."""

import json
import sys

def number(value):
    if value >= 1000:
        return "%.0f" % value
    return "%.1f" % value if value >= 10 else "%.2f" % value


def table(rows):
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip())


def print_format(name, result, targets):
    print("\n%s: %s per second; ratio to it: median (lowest-highest of the rounds)\n" % (
        name, targets[0]))
    rows = [["", targets[0]] + targets[1:]]
    for workload, values in result["workloads"].items():
        if workload.startswith("op_"):
            continue
        row = [workload, number(values[targets[0]]["median"])]
        for target in targets[1:]:
            got = values.get(target)
            row.append("%.2f (%.2f-%.2f)" % (got["ratio"], got["ratio_min"], got["ratio_max"])
                       if got else "-")
        rows.append(row)
    if len(rows) > 1:
        table(rows)


def print_operations(name, result, targets):
    operations = {k: v for k, v in result["workloads"].items() if k.startswith("op_")}
    if not operations:
        return
    print("\nsingle operations (in the run of %s): p50 in us, ratio of speed to %s\n" % (
        name, targets[0]))
    rows = [["", targets[0]] + targets[1:]]
    for workload, values in operations.items():
        row = [workload[3:]]
        for n, target in enumerate(targets):
            got = values[target]
            text = number(1e6 / got["median"])
            row.append(text if n == 0 else "%s  %.2f" % (text, got["ratio"]))
        rows.append(row)
    table(rows)


def print_counts(name, result):
    for what, by_target in result["counts"].items():
        for target, counts in by_target.items():
            parts = ", ".join("%s %s" % (key, value) for key, value in sorted(counts.items()))
            print("%s: %s, for one %s: %s" % (name, target, what, parts))


def main():
    with open(sys.argv[1], encoding="utf-8") as saved:
        result = json.load(saved)
    for key, value in result["machine"].items():
        print("%-12s %s" % (key, value))
    for name, of_format in result["formats"].items():
        print_format(name, of_format, result["targets"])
    for name, of_format in result["formats"].items():
        print_operations(name, of_format, result["targets"])
    if any(of_format["counts"] for of_format in result["formats"].values()):
        print("\ncounted:")
    for name, of_format in result["formats"].items():
        print_counts(name, of_format)


if __name__ == "__main__":
    main()
