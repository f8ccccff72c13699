"""What a run leaves: the table on screen, a JSON file that is whole after every row, and the time it may take.

A file has one record a row; its `entries` hold, by contender, one of
    {"ms", "p10_ms", "p90_ms", "calls", "tflops", "error", "compile_s"}    timed on a GPU, and right
    {"not_measured", "error", …}    ran and was right, where there is nothing to time (the virtual GPU)
    {"skipped"} or {"failed"} or {"wrong", "error"}    with the reason
"""
import json
import os
import pathlib
import re
import time


class Budget:
    """Minutes for a run. A row is begun when the longest one so far would still fit."""

    FIRST_ROW_S = 20.0

    def __init__(self, minutes, clock=time.monotonic):
        self.clock, self.begin = clock, clock()
        self.limit = None if minutes is None else 60.0 * minutes
        self.longest = 0.0

    def used(self):
        return self.clock() - self.begin

    def allows(self):
        return self.limit is None or self.used() + (self.longest or self.FIRST_ROW_S) <= self.limit

    def row_took(self, seconds):
        self.longest = max(self.longest, seconds)


class Results:
    """The file. `path` is written anew after each change, by renaming."""

    def __init__(self, path, header, resume=None):
        self.path, self.content = pathlib.Path(path), dict(header, rows=[])
        if resume:
            earlier = json.loads(pathlib.Path(resume).read_text())
            for key in ("device", "measured"):
                if earlier.get(key) != self.content.get(key):
                    raise ValueError(f"{resume}: its {key} is {earlier.get(key)}, here it is {self.content.get(key)}")
            self.content["rows"] = earlier["rows"]
            self.content["resumed"] = [*earlier.get("resumed", []),
                                       {key: earlier.get(key) for key in ("date", "command", "commit", "version")}]
        self.write()

    def has(self, name):
        return any(row["name"] == name for row in self.content["rows"])

    def add(self, row):
        self.content["rows"].append(row)
        self.write()

    def set(self, **values):
        self.content.update(values)
        self.write()

    def write(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(f".{os.getpid()}.partial")
        temporary.write_text(json.dumps(self.content, indent=1) + "\n")
        temporary.replace(self.path)


def file_stem(description, moment):
    """`gpu-nvidia-h200-2026-11-26-070159`, of the device's description and a time."""
    name = re.sub(r"[^a-z0-9]+", "-", description.split(",")[0].lower()).strip("-")
    return f"gpu-{name}-{moment:%Y-%m-%d-%H%M%S}"


def ours_and_best(entries):
    """TFLOP/s of attnc and of the best peer, and that peer's name; None where not measured."""
    ours = entries.get("attnc", {}).get("tflops")
    peers = {name: entry["tflops"] for name, entry in entries.items() if name != "attnc" and entry.get("tflops")}
    best = max(peers, key=peers.get) if peers else None
    return ours, peers.get(best), best


def cell(entry):
    """One contender's place in the table."""
    if entry is None:
        return ""
    if "tflops" in entry:
        return f"{entry['tflops']:.0f}"
    for key, mark in (("not_measured", "right"), ("skipped", "-"), ("wrong", "WRONG"), ("failed", "failed")):
        if key in entry:
            return mark
    return "?"


class Table:
    """Lines for the screen: TFLOP/s over visible pairs, attnc's time, and its ratio to the best peer."""

    def __init__(self, contenders):
        self.contenders = contenders
        self.widths = [max(8, len(name) + 1) for name in contenders]

    def head(self):
        names = "".join(f"{name:>{width}}" for name, width in zip(self.contenders, self.widths))
        return f"{'TFLOP/s':26}{names}{'attnc ms':>11}{'/ best':>8}"

    def line(self, row):
        entries = row["entries"]
        cells = "".join(f"{cell(entries.get(name)):>{width}}" for name, width in zip(self.contenders, self.widths))
        ours, best, _ = ours_and_best(entries)
        milliseconds = f"{entries['attnc']['ms']:.3f}" if ours else ""
        return f"{row['name']:26}{cells}{milliseconds:>11}{f'{ours / best:.2f}' if ours and best else '':>8}"

    @staticmethod
    def remarks(row):
        """What went wrong, a line each."""
        return [f"  {name}: {key}: {entry[key]}" for name, entry in row["entries"].items()
                for key in ("wrong", "failed") if key in entry]


def is_right(row):
    """Whether attnc was right in it, or did not come to take part."""
    return not {"wrong", "failed"} & set(row["entries"].get("attnc", {}))


def _lowest(ratios, what):
    """A line for the lowest of (ratio, row, other), or none."""
    if not ratios:
        return []
    ratio, row, other = min(ratios)
    return [f"{what}: lowest {ratio:.2f} ({row}, {other})"]


def _beside_plain(rows):
    """TFLOP/s of each variant over those of the causal kernel at the same sizes."""
    sizes = lambda row: (row["dtype"], row["head_dim"], row["length"])
    plain = {sizes(row): ours_and_best(row["entries"])[0] for row in rows if row["mask"] == "causal"}
    return [(ours_and_best(row["entries"])[0] / plain[sizes(row)], row["name"], "over causal") for row in rows
            if row["mask"] not in ("full", "causal") and ours_and_best(row["entries"])[0] and plain.get(sizes(row))]


def _errors(rows):
    """The error of the most exact peer over ours."""
    out = []
    for row in rows:
        errors = {name: entry["error"]["rms_relative"] for name, entry in row["entries"].items()
                  if (entry.get("error") or {}).get("rms_relative")}
        ours, peers = errors.pop("attnc", None), errors
        if ours and peers:
            best = min(peers, key=peers.get)
            out.append((peers[best] / ours, row["name"], f"by {best}"))
    return out


def summary(rows):
    """Lines that tell the whole run."""
    bad = [row["name"] for row in rows if not is_right(row)]
    lines = [f"{len(rows)} rows; attnc wrong or failed in {len(bad)}{': ' + ', '.join(bad) if bad else ''}"]
    ratios, flex = [], []
    for row in rows:
        ours, best, name = ours_and_best(row["entries"])
        if ours and best:
            ratios.append((ours / best, row["name"], f"by {name}"))
        if ours and row["entries"].get("flex", {}).get("tflops") and row["mask"] not in ("full", "causal"):
            flex.append((ours / row["entries"]["flex"]["tflops"], row["name"], "by flex"))
    if ratios:
        ahead = sum(ratio >= 1 for ratio, _, _ in ratios)
        lines += _lowest(ratios, f"ahead of the best peer in {ahead} of {len(ratios)} rows")
    elif rows:
        lines.append("no times: not measured, or no peer to compare with")
    lines += _lowest(_beside_plain(rows), "variants beside the causal kernel, by visible pair")
    lines += _lowest(flex, "variants beside FlexAttention")
    lines += _lowest(_errors(rows), "error of the most exact peer over ours")
    return lines
