# SPDX-License-Identifier: BSD-3-Clause
"""The table: for the terminal, for bench/RESULTS.md and, its quoted rows, for README.md."""

import datetime
import os
import platform
import statistics
import subprocess

from rows import is_less_better

HEADS = ("row", "ours", "peer", "ours / peer", "floor", "bare loop", "ours / bare loop",
         "floors are")
WIDTHS = (46, 11, 11, 20, 6, 11, 25, 10)
LOAD_BEFORE = os.getloadavg()[0]


def spread(values):
    """The median, with minimum and maximum."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def ratios(result, other):
    return [pair["ours"] / pair[other] for pair in result.pairs if pair.get(other)]


def format_value(kind, value):
    if kind == "start":
        return f"{value / 1000:.1f} ms"
    if kind == "memory":
        return f"{value / 1024:.1f} MiB"
    return f"{value:,.0f}" + ("/s" if kind == "load" else "")


def format_median(result, name):
    return format_value(result.row.kind, statistics.median(pair[name] for pair in result.pairs))


def format_floor(row):
    if row.floor is None:
        return ""
    return f"{'≤' if is_less_better(row.kind) else '≥'} {row.floor:g}"


def format_limit(result):
    floor = result.row.limit_floor
    return spread(ratios(result, "bare")) + (f", ≥ {floor:g}" if floor else "")


def is_below(result):
    row = result.row
    if row.floor is not None:
        ratio = statistics.median(ratios(result, "peer"))
        if ratio > row.floor if is_less_better(row.kind) else ratio < row.floor:
            return True
    return row.limit_floor is not None and \
        statistics.median(ratios(result, "bare")) < row.limit_floor


def verdict(result):
    if result.row.floor is None and result.row.limit_floor is None:
        return ""
    return "missed" if is_below(result) else "met"


def is_measured(result):
    return result.reason is None and ratios(result, "peer")


def cells(result):
    """The texts of a line of the table."""
    if not is_measured(result):
        reason = result.reason or "nothing was answered in the time"
        return (result.row.name, "", "", f"not available: {reason}", "", "", "", "")
    has_limit = bool(ratios(result, "bare"))
    return (result.row.name, format_median(result, "ours"), format_median(result, "peer"),
            spread(ratios(result, "peer")), format_floor(result.row),
            format_median(result, "bare") if has_limit else "",
            format_limit(result) if has_limit else "", verdict(result))


def show_line(texts):
    first, *others = zip(texts, WIDTHS)
    print(" ".join([f"{first[0]:<{first[1]}}"]
                   + [f"{text:>{width}}" for text, width in others]).rstrip(), flush=True)


def show_head():
    show_line(HEADS)


def show(results, is_judged):
    for result in results:
        texts = cells(result)
        if not is_measured(result):
            print(f"{texts[0]:<{WIDTHS[0]}} {texts[3]}", flush=True)
        else:
            show_line(texts if is_judged else texts[:-1])


def as_markdown(heads, lines):
    table = ["| " + " | ".join(heads) + " |",
             "|" + "---|" + "---:|" * (len(heads) - 1)]
    table += ["| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines]
    return table


def first_line(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def read_field(path, name):
    with open(path) as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "?")


def describe_machine(place_names):
    memory_gib = int(read_field("/proc/meminfo", "MemTotal").split()[0]) / (1 << 20)
    return [
        f"- {datetime.date.today().isoformat()}, load of the machine before: {LOAD_BEFORE:.1f}",
        f"- {read_field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores, "
        f"{memory_gib:.0f} GiB, Linux {platform.release()}",
        *(f"- {first_line(program, '--version')}"
          for program in (place_names["nbdlab"], place_names["nbdkit"], "gcc", "bash")),
    ]


def replace_part(path, name, lines):
    """Puts lines between the comments <!-- NAME --> and <!-- end of NAME --> of a file."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    with open(path) as file:
        text = file.read()
    head, rest = text.split(begin)
    _, tail = rest.split(end)
    with open(path, "w") as file:
        file.write(head + begin + "".join(f"{line}\n" for line in lines) + end + tail)


def quote_lines(results):
    return [(result.row.quote, format_median(result, "ours"), format_median(result, "peer"),
             spread(ratios(result, "peer")))
            for result in results if result.row.quote and is_measured(result)]


def write(root, place_names, results):
    lines = describe_machine(place_names) + [""]
    lines += as_markdown(HEADS, map(cells, results))
    replace_part(os.path.join(root, "bench", "RESULTS.md"), "table", lines)
    quoted = as_markdown(("what", "nbdlab", "nbdkit", "ratio"), quote_lines(results))
    replace_part(os.path.join(root, "README.md"), "benchmark", quoted)
