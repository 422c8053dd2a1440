"""Builds, keeps and drops many small objects: with PYTHONMALLOC=malloc each is a malloc of its own."""
import sys


def parse(line):
    key, *rest = line.split(",")
    return {"key": key, "values": [float(part) for part in rest], "text": line.upper()}


def index(rows):
    table = {}
    for row in rows:
        table.setdefault(row["key"], []).append((sum(row["values"]), row["text"]))
    return table


def main(rounds):
    kept = {}
    total = 0.0
    for turn in range(rounds):
        lines = ["%d,%s" % (n % 97, ",".join(str(n * k % 1009) for k in range(1, 9))) for n in range(2000)]
        table = index([parse(line) for line in lines])
        total += sum(value for rows in table.values() for value, _ in rows)
        kept[turn % 50] = table
    print(total)


main(int(sys.argv[1]))
