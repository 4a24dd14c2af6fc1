"""Kills runs at random moments, continues them, and looks at what comes out.

Every run is started, killed by SIGKILL or SIGTERM at a random moment of its usual length, and continued with --resume
until it ends; it may be killed again on the way. What must hold each time: nothing under the final name before the run
is complete, exit 130 after SIGTERM, the bytes of a run that was never killed, and no file left beside them.

    python3 Scripts/check_kills.py                                   # 200 kills, the release build
    python3 Scripts/check_kills.py --kills 30 --program .build/debug/lowrank --seed 7
    python3 Scripts/check_kills.py --kills 60 --commands shards      # only where shards are written

compress and sweep work on a synthetic model of some seconds (Scripts/make_synthetic.py, needs numpy), so that kills hit
between units of the journal; calibrate on the fixture. `shards` is a compress to shards so small that they are written
all the while; its kills are aimed at a shard on its way, at the time between two, and at the end, when the shards are
linked together and the last is written. A command that the program does not have is left out, visibly.
"""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURE = ROOT / "Fixtures/tiny-llama"
# What a kill waits for: nothing, or a state of the staging folder.
AIMS = {"shards": ["any moment", "within a shard", "between shards", "at the end"]}
CONFIG = {"model_type": "llama", "hidden_size": 512, "intermediate_size": 1408, "num_attention_heads": 8,
          "num_key_value_heads": 4, "num_hidden_layers": 8, "vocab_size": 1000, "max_position_embeddings": 512}


def jobs(model):
    """Command, options, and what of the output may differ between two runs."""
    text = FIXTURE / "calibration.txt"
    return {
        "compress": ["compress", model, "--keep", "0.6", "--storage", "pivot", "--max-shard-size", "10MB"],
        "shards": ["compress", model, "--keep", "0.6", "--max-shard-size", "1MB"],
        "calibrate": ["calibrate", FIXTURE, "--text", text, "--context", "64"],
        "sweep": ["sweep", model, "--methods", "svd", "--keep", "0.8,0.6,0.4"],
    }


def digest(path):
    """Every file below a path but reports, by name."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    found = {}
    for file in files:
        if file.name.startswith("report.") or file.name.startswith("sweep."):
            continue
        found[str(file.relative_to(path)) if file != path else ""] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def sweep_points(path):
    """The points of a sweep without their times."""
    if not (path / "sweep.csv").exists():
        return None
    rows = [line.split(",") for line in (path / "sweep.csv").read_text().splitlines()]
    seconds = rows[0].index("seconds")
    return [row[:seconds] + row[seconds + 1:] for row in rows]


class Trial:
    def __init__(self, program, words, folder, generator, counts, aims):
        self.aims = aims
        self.words = [str(program), *map(str, words), "--threads", "1", "-q"]
        self.folder, self.generator, self.counts = folder, generator, counts

    def start(self, output, resume=False):
        words = self.words + ["-o", str(self.folder / output)] + (["--resume"] if resume else [])
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def reference(self):
        began = time.monotonic()
        run = self.start("whole")
        errors = run.communicate()[1]
        if run.returncode:
            sys.exit(f"check_kills: {' '.join(self.words)} ended with {run.returncode}: {errors}")
        self.seconds = time.monotonic() - began
        self.expected = digest(self.folder / "whole"), sweep_points(self.folder / "whole")

    def units(self):
        return len(list((self.folder / ".out.lowrank-partial/units").glob("*.unit.json")))

    def place(self):
        """What a run is at, as far as the staging folder tells."""
        def names(folder):
            try:
                return os.listdir(self.folder / ".out.lowrank-partial" / folder)
            except OSError:
                return []
        if names("output"):
            return "at the end"
        shards = names("shards")
        if any(name.endswith(".partial") for name in shards):
            return "within a shard"
        return "between shards" if shards else "before the first shard"

    def wait(self, run):
        """Until the moment of a kill, or the end of the run."""
        aim = self.generator.choice(self.aims)
        if aim == "any moment":
            return time.sleep(self.generator.uniform(0, self.seconds))
        # Not always the first time, so that there are shards from before.
        passes = self.generator.choice([0, 0, 5, 20])
        while run.poll() is None:
            if self.place() == aim:
                if passes == 0 or aim == "at the end":
                    return time.sleep(self.generator.uniform(0, 0.01))
                passes -= 1
            time.sleep(0.0005)

    def kill_once(self, resume):
        """Whether the run was killed before its end."""
        run = self.start("out", resume)
        self.wait(run)
        place = self.place()
        number = self.generator.choice([signal.SIGKILL, signal.SIGTERM])
        run.send_signal(number)
        errors = run.communicate()[1]
        if run.returncode == 0:
            self.counts["ended first"] += 1
            return False
        # A signal that comes before the handler is there ends the process as any other.
        allowed = {signal.SIGKILL: [-9], signal.SIGTERM: [130, -15]}[number]
        if run.returncode not in allowed:
            raise AssertionError(f"exit {run.returncode} after signal {number}: {errors}")
        self.counts[signal.Signals(number).name] += 1
        if (self.folder / "out").exists():
            raise AssertionError("the killed run left something under the final name")
        if len(self.aims) > 1:
            self.counts[place] += 1
        else:
            self.counts["with finished units" if self.units() else "before the first unit"] += 1
        return True

    def run(self, kills):
        """Kills a run up to some times, then lets it end; returns the number of kills."""
        done = 0
        while done < kills and self.kill_once(resume=done > 0):
            done += 1
        if not (self.folder / "out").exists():
            run = self.start("out", resume=True)
            errors = run.communicate()[1]
            if run.returncode:
                raise AssertionError(f"--resume ended with {run.returncode}: {errors}")
        if (digest(self.folder / "out"), sweep_points(self.folder / "out")) != self.expected:
            raise AssertionError("other bytes than those of a run that was never killed")
        orphans = [path.name for path in self.folder.iterdir() if path.name not in ("whole", "out")]
        if orphans:
            raise AssertionError(f"left beside the output: {orphans}")
        path = self.folder / "out"
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return done


def make_model(folder):
    (folder / "config.json").write_text(json.dumps(CONFIG))
    subprocess.run([sys.executable, ROOT / "Scripts/make_synthetic.py", folder / "config.json", "-o", folder / "model"],
                   check=True, stdout=subprocess.DEVNULL)
    return folder / "model"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / ".build/release/lowrank")
    parser.add_argument("--kills", type=int, default=200, help="over all commands (default 200)")
    parser.add_argument("--commands", default="compress,shards,calibrate,sweep")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main():
    options = arguments()
    generator = random.Random(options.seed)
    known = subprocess.run([options.program, "help"], capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        table = jobs(make_model(scratch))
        names = [name for name in options.commands.split(",") if f"  {table[name][0]} " in known]
        for name in set(options.commands.split(",")) - set(names):
            print(f"skipped: the program has no command {name}")
        for place, name in enumerate(names):
            folder = scratch / name
            folder.mkdir()
            counts = collections.Counter()
            trial = Trial(options.program, table[name], folder, generator, counts, AIMS.get(name, ["any moment"]))
            trial.reference()
            wanted = options.kills // len(names) + (place < options.kills % len(names))
            kills = runs = 0
            while kills < wanted:
                kills += trial.run(min(generator.choice([1, 1, 2, 3]), wanted - kills))
                runs += 1
            detail = ", ".join(f"{counts[key]} {key}" for key in sorted(counts))
            print(f"{name}: {kills} kills in {runs} runs of {trial.seconds:.1f} s, all to the same bytes ({detail})",
                  flush=True)


if __name__ == "__main__":
    main()
