"""Times lowrank's kernels and decompositions against numpy (OpenBLAS), scipy, torch (MKL) and scikit-learn.

Every round times each contender once, ours included, in an order that shifts from round to round, all at the same
number of threads; so a change of clock or a neighbour's load meets everyone. Ours runs as `lowrank bench`, which times
inside of its own process. The ratio is the median over the rounds of (best peer's time / our time): above 1 we are
ahead. The best peer is the one with the least median among those that solve the problem exactly. A peer that was
three times slower than the fastest in two rounds is not timed again, unless the row names it. A run of more than four
seconds counts from the first and is made once more; every such peer is shown with the number of its runs.

    swift build -c release
    python3 Scripts/bench_peers.py                            every row; takes about half an hour
    python3 Scripts/bench_peers.py --patient                  the same with all rounds for all peers; takes hours
    python3 Scripts/bench_peers.py --rows sgemm,gram --pairs 7
    python3 Scripts/bench_peers.py --rows svd-1024 --json out.json
    python3 Scripts/bench_peers.py --quick                    one small shape of each kind, three rounds
    python3 Scripts/bench_peers.py --list

The output is a Markdown table with the machine, instruction set, clock and library versions above it.
"""

import argparse
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import peers

ROOT = pathlib.Path(__file__).resolve().parent.parent
# A short operation is repeated within a turn until this much time has gone; the turn counts with its best.
TURN_SECONDS = 0.3
# A peer whose run takes longer than this is timed in SLOW_RUNS runs, the first of which is the one that is judged.
SLOW_SECONDS = 4
SLOW_RUNS = 2
# Worker threads of the libraries spin for a while after their work; the next contender waits until they sleep.
PAUSE_SECONDS = 0.25
# "At least as fast" holds from here: what two runs of the same code differ by.
NOISE = 0.97
# Settings of the shell can hold a library to older kernels; the peers run as they choose for themselves.
SETTINGS = ("OPENBLAS_", "MKL_", "OMP_", "GOMP_", "KMP_", "ATEN_")
VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Row:
    """One line of the table: the work, the threads, and what is asked of the ratio."""

    def __init__(self, name, op, shape, dtype, threads, asked=None, **more):
        self.name, self.op, self.dtype, self.threads = name, op, dtype, threads
        self.m, self.n, self.k = shape
        # Ratio that is asked, for each peer that is named; "best" is the best exact one.
        self.asked = asked or {}
        self.isa = more.get("isa")
        self.peak_asked = more.get("peak_asked")
        self.quick = more.get("quick", False)

    @property
    def key(self):
        return f"{self.name}-t{self.threads}"


def rows():
    table = []
    shapes = {"1024": (1024,) * 3, "2048": (2048,) * 3, "4096": (4096,) * 3, "4096x11008": (4096, 11008, 4096),
              "512x4096": (512, 4096, 4096)}
    for threads in (1, 2):
        for name, shape in shapes.items():
            peak = 80 if name == "4096" and threads == 1 else None
            table.append(Row(f"sgemm-{name}", "gemm", shape, "f32", threads, {"best": 1.0}, peak_asked=peak,
                             quick=name == "1024"))
        for name in ("2048", "4096"):
            table.append(Row(f"dgemm-{name}", "gemm", shapes[name], "f64", threads, {"best": 1.0}))
    table.append(Row("update-64", "update", (4096, 4096, 64), "f32", 2, {"best": 1.0}, quick=True))
    for dtype in ("f32", "bf16"):
        table.append(Row(f"gemv-{dtype}", "gemv", (4096, 1, 11008), dtype, 2, {"best": 1.0}, peak_asked=85,
                         quick=dtype == "f32"))
        table.append(Row(f"gram-{dtype}", "gram", (4096, 4096, 11008), dtype, 2,
                         {"numpy": 1.2 if dtype == "f32" else 1.4}))
    for m, n, k in ((1024, 1024, 256), (2048, 2048, 512), (4096, 4096, 1024), (11008, 4096, 1194)):
        name = str(m) if m == n else f"{m}x{n}"
        table.append(Row(f"svd-{name}", "svd", (m, n, k), "f32", 2, {"best": 2.5, "numpy gesdd": 8},
                         quick=m == 1024))
        wide = round(0.55 * n)
        table.append(Row(f"svd-{name}-k{wide}", "svd", (m, n, wide), "f32", 2, {"best": 2, "numpy gesdd": 6}))
    for n in (2048, 4096):
        table.append(Row(f"eigen-{n}", "eigen", (n, n, n), "f64", 2, {"best": 1.3}))
    table.append(Row("eigen-512", "eigen", (512, 512, 512), "f64", 2, quick=True))
    table.append(Row("sgemm-4096-avx2", "gemm", (4096,) * 3, "f32", 1, peak_asked=85, isa="avx2"))
    return table


# Ours

def shape(row):
    """The operation and the shape as `lowrank bench` has them."""
    if row.op in ("gram", "gemv"):
        return {"gram": "syrk"}.get(row.op, row.op), f"{row.m}x{row.k}"
    if row.op == "eigen":
        return row.op, f"{row.n}x{row.k}"
    return {"update": "gemm"}.get(row.op, row.op), f"{row.m}x{row.n}x{row.k}"


def bench(options, row, repeats):
    """One run of `lowrank bench`: its machine and its only result."""
    operation, sides = shape(row)
    command = [str(options.lowrank), "bench", "--op", operation, "--shape", sides, "--dtype", row.dtype,
               "--threads", str(row.threads), "--repeat", str(repeats), "--json", "--quiet"]
    environment = dict(os.environ, **({"LOWRANK_ISA": row.isa} if row.isa else {}))
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)}\nleft with {run.returncode}: {run.stderr.strip() or run.stdout.strip()}")
    report = json.loads(run.stdout)
    if len(report["results"]) != 1:
        sys.exit(f"{' '.join(command)}\ngave {len(report['results'])} results, expected 1")
    return report["machine"], report["results"][0]


class Ours:
    def __init__(self, options, row):
        self.options, self.row = options, row
        self.machine, self.result = bench(options, row, 1)
        self.repeats = repeats_for(self.result["seconds"])

    def turn(self):
        _, self.result = bench(self.options, self.row, self.repeats)
        return self.result["seconds"]


def repeats_for(seconds):
    return max(1, min(50, math.ceil(TURN_SECONDS / max(seconds, 1e-6))))


# Theirs

class Peer:
    """A contender of another library; made by one untimed run, whose result is judged."""

    def __init__(self, run, work):
        self.run = run
        started = time.perf_counter()
        result = run()
        self.first = time.perf_counter() - started
        self.repeats = repeats_for(self.first)
        self.error = work.error(result)

    def turn(self):
        best = math.inf
        for _ in range(self.repeats):
            started = time.perf_counter()
            self.run()
            best = min(best, time.perf_counter() - started)
        return best


def is_settled(name, times, row, patient):
    """Whether a peer is done: so slow that its runs suffice, or out of the race and not one that the row asks about."""
    mine = times[name]
    if not patient and len(mine) >= SLOW_RUNS and statistics.median(mine) > SLOW_SECONDS:
        return True
    if name in row.asked or len(mine) < 2:
        return False
    fastest = min((times[other] for other in times if other != "lowrank" and times[other]), key=statistics.median)
    return all(sample > 3 * statistics.median(fastest) for sample in mine)


def measure(options, row):
    """Times one row in this process, whose libraries were started with the row's threads."""
    torch = peers.optional("torch")
    if torch:
        torch.set_num_threads(row.threads)
    ours = Ours(options, row)
    contenders = {"lowrank": ours}
    if not row.isa:
        work = peers.Work(row)
        for name, run in work.contenders().items():
            contenders[name] = Peer(run, work)
    times = {name: [] for name in contenders}
    for name, contender in contenders.items():
        if name != "lowrank" and not options.patient and contender.first > SLOW_SECONDS:
            times[name].append(contender.first)
    names = list(contenders)
    for turn in range(options.pairs):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            if name != "lowrank" and is_settled(name, times, row, options.patient):
                continue
            time.sleep(PAUSE_SECONDS)
            times[name].append(contenders[name].turn())
    return {"key": row.key, "machine": ours.machine, "libraries": libraries(), "ours": ours.result, "times": times,
            "errors": {name: peer.error for name, peer in contenders.items() if name != "lowrank"}}


# The rows of one number of threads share a process: libraries fix their threads when they are loaded.

def in_child(options, threads, selected):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    environment.update({name: str(threads) for name in VARIABLES})
    command = [sys.executable, __file__, "--child", "--rows", ",".join(row.key for row in selected),
               "--pairs", str(options.pairs), "--lowrank", str(options.lowrank)]
    command += ["--patient"] if options.patient else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        for line in child.stdout:
            measured = json.loads(line)
            print(f"{measured['key']}: done", file=sys.stderr)
            yield measured
    if child.returncode != 0:
        sys.exit(child.returncode)


# The table

def ratio(theirs, ours):
    """The median over the rounds; of the medians where a peer was not in all rounds."""
    if len(theirs) < len(ours):
        return statistics.median(theirs) / statistics.median(ours)
    return statistics.median(their / mine for their, mine in zip(theirs, ours))


def judged(row, measured):
    """The figures of a row: the best peer, the ratio for everything that is asked, and whether it holds."""
    times = measured["times"]
    ours = times["lowrank"]
    exact = {name: samples for name, samples in times.items()
             if name not in peers.INEXACT and name != "lowrank" and samples}
    best = min(exact, key=lambda name: statistics.median(exact[name])) if exact else None
    asked = {name: row.asked.get(name) for name in dict.fromkeys(["best", *row.asked])} if exact else {}
    ratios, holds = {}, []
    for name, least in asked.items():
        peer = best if name == "best" else name
        if peer not in exact:
            sys.exit(f"{row.key}: asks about {peer}, which is not installed")
        ratios[name] = ratio(exact[peer], ours)
        if least is not None:
            holds.append(ratios[name] >= (NOISE if least == 1.0 else least))
    peak = measured["ours"].get("percent_of_peak")
    if row.peak_asked is not None:
        holds.append(peak is not None and peak >= row.peak_asked)
    return {"best": best, "ratios": ratios, "holds": all(holds) if holds else None, "peak": peak}


def seconds(samples):
    """median (best), in a unit that fits."""
    scale, unit = (1, "s") if statistics.median(samples) >= 1 else (1e3, "ms")
    return f"{statistics.median(samples) * scale:.3g} ({min(samples) * scale:.3g}) {unit}"


def figure(value):
    return "" if value is None else f"{value:.1e}"


def line(row, measured):
    found = judged(row, measured)
    best, ratios = found["best"], found["ratios"]
    asked = ", ".join(f"{least:g}" + ("" if name == "best" else f" {name}") for name, least in row.asked.items())
    if row.peak_asked is not None:
        asked += (", " if asked else "") + f"{row.peak_asked} % of peak"
    shown = ", ".join(f"**{ratio:.2f}**" + ("" if name == "best" else f" {name}") for name, ratio in ratios.items())
    ours = measured["ours"].get("error")
    cells = [row.name, row.threads, seconds(measured["times"]["lowrank"]),
             "" if found["peak"] is None else f"{found['peak']:.0f} %",
             f"{best}: {seconds(measured['times'][best])}" + runs(best, measured) if best else "", shown, asked,
             {True: "yes", False: "NO", None: ""}[found["holds"]], figure(ours),
             figure(measured["errors"].get(best))]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def runs(name, measured):
    """The number of runs of a peer that was timed less often than ours."""
    count = len(measured["times"][name])
    return f" of {count}" if count < len(measured["times"]["lowrank"]) else ""


def others(row, measured):
    """Every peer that is not the best, for the list below the table."""
    best = judged(row, measured)["best"]
    parts = []
    for name, samples in measured["times"].items():
        if name in ("lowrank", best) or not samples:
            continue
        error = measured["errors"].get(name)
        parts.append(f"{name} {seconds(samples)} of {len(samples)}"
                     + (f", error {error:.1e}" if error is not None else ""))
    return f"- {row.key}: " + "; ".join(parts) if parts else None


def machine_lines(measured, options):
    machine, libraries = measured["machine"], measured["libraries"]
    processor, clock = platform.processor(), ""
    try:
        for entry in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = entry.partition(":")
            processor = value.strip() if key.strip() == "model name" else processor
            clock = f"{float(value) / 1000:.2f} GHz" if key.strip() == "cpu MHz" else clock
    except OSError:
        pass
    described = ", ".join(f"{key} {value}" for key, value in machine.items() if not isinstance(value, (dict, list)))
    yield f"{processor}, {os.cpu_count()} processors, {clock or 'clock unknown'}; lowrank bench: {described}."
    yield f"{', '.join(libraries)}; {options.pairs} rounds."


def libraries():
    """Versions, and the kernels that OpenBLAS has chosen; asked where they run."""
    names = [f"{name} {package.__version__}" for name in ("numpy", "scipy", "torch", "sklearn")
             if (package := peers.optional(name))]
    pools = peers.optional("threadpoolctl")
    if not pools:
        return names
    return names + sorted({f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', '')})"
                           for pool in pools.threadpool_info() if pool["user_api"] == "blas"})


def select(options):
    table = rows()
    if options.quick:
        table = [row for row in table if row.quick]
    if not options.rows:
        return table
    wanted = options.rows.split(",")
    selected = [row for row in table if any(row.key == name or row.key.startswith(name) for name in wanted)]
    for name in wanted:
        if not any(row.key == name or row.key.startswith(name) for row in table):
            sys.exit(f"--rows {name}: no such row; --list shows them")
    return selected


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", help="names or beginnings of names, separated by commas")
    parser.add_argument("--list", action="store_true", help="names of all rows")
    parser.add_argument("--quick", action="store_true", help="one small shape of each kind, 3 rounds")
    parser.add_argument("--pairs", type=int, help="rounds (default 7)")
    parser.add_argument("--patient", action="store_true", help="all rounds for peers that take seconds, too")
    parser.add_argument("--lowrank", type=pathlib.Path, default=ROOT / ".build/release/lowrank")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="all samples")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.pairs = options.pairs or (3 if options.quick else 7)
    return options


def main():
    options = options_of(sys.argv[1:])
    selected = select(options)
    if options.list:
        print("\n".join(row.key for row in selected))
        return
    if not options.lowrank.exists():
        sys.exit(f"{options.lowrank}: not built; run `swift build -c release` or name it with --lowrank")
    if options.child:
        exact = {key for key in options.rows.split(",")}
        for row in selected:
            if row.key in exact:
                print(json.dumps(measure(options, row)), flush=True)
        return
    results = []
    for threads in sorted({row.threads for row in selected}):
        group = [row for row in selected if row.threads == threads]
        for found in in_child(options, threads, group):
            row = next(row for row in group if row.key == found["key"])
            if not results:
                head(found, options)
            results.append((row, found))
            # As they come, so that what was measured is not lost where the run is cut short.
            print(line(row, found), flush=True)
            if options.json:
                options.json.write_text(json.dumps([measured for _, measured in results], indent=1) + "\n")
    tail(results)


def head(measured, options):
    print("\n".join(machine_lines(measured, options)))
    print("\nTimes are median (best); ratios are medians over the rounds, above 1 lowrank is faster.\n")
    print("| work | threads | lowrank | of peak | best peer | ratio | asked | holds | our error | its error |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)


def tail(results):
    extra = [text for row, measured in results if (text := others(row, measured))]
    if extra:
        print("\nThe other peers, with the number of rounds they were timed in:\n\n" + "\n".join(extra))
    if any(judged(row, measured)["holds"] is False for row, measured in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
