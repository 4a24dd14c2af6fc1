"""Lets the disk run full at different moments of a compression.

On a small file system of memory (tmpfs, which needs root) an output is replaced with --force while the space ends: at
half of the points it is too small from the start, at the others something else fills it while the run goes on. Each
time: exit 5 with a message, the old output untouched, and with room again the run ends, continued where it stopped.
Limits on the size of a file (ulimit -f) are tried as well, and are all there is without root.

    python3 Scripts/check_full_disk.py [--program .build/release/lowrank] [--points 20]
"""

import argparse
import hashlib
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURE = ROOT / "Fixtures/tiny-llama"


def digest(folder):
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(folder.rglob("*")) if file.is_file() and not file.name.startswith("report.")}


def command(program, folder, *more):
    return [str(program), "compress", str(FIXTURE), "-o", str(folder / "out"), "--keep", "0.6", "--threads", "1", "-q",
            *more]


def expect_failure(run, folder, old, point):
    errors = run.communicate()[1]
    if run.returncode != 5 or "compress" not in " ".join(run.args):
        raise AssertionError(f"{point}: exit {run.returncode}, expected 5: {errors}")
    if not errors.strip():
        raise AssertionError(f"{point}: no message")
    if digest(folder / "out") != old:
        raise AssertionError(f"{point}: the old output has changed")
    return errors.strip()


def start(words, limit=None):
    def limits():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                            preexec_fn=limits if limit else None)


def finish(program, folder, new, point):
    """With room again the run goes on, or begins again, and ends with the usual bytes."""
    subprocess.run(command(program, folder, "--force", "--resume"), check=True, stdout=subprocess.DEVNULL)
    if digest(folder / "out") != new:
        raise AssertionError(f"{point}: other bytes after going on")
    left = [path.name for path in folder.iterdir() if path.name not in ("out", "filler")]
    if left:
        raise AssertionError(f"{point}: left beside the output: {left}")


def old_output(program, folder):
    """An earlier output of other bytes."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    words = command(program, folder)
    words[words.index("0.6")] = "0.3"
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return digest(folder / "out")


def file_limits(program, folder, new, points):
    largest = max(file.stat().st_size for file in (folder / "out").iterdir())
    for point in range(points):
        old = old_output(program, folder)
        # The last point lacks one byte.
        limit = 1 + (largest - 2) * (point + 1) // points
        errors = expect_failure(start(command(program, folder, "--force"), limit), folder, old, f"limit {limit}")
        finish(program, folder, new, f"limit {limit}")
    print(f"files limited at {points} sizes: exit 5, the old output untouched ({errors})")


def full_disks(program, new, points):
    with tempfile.TemporaryDirectory() as scratch:
        words = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", scratch]
        mount = subprocess.run(words, capture_output=True, text=True)
        if mount.returncode:
            print(f"skipped: no file system of memory can be mounted ({mount.stderr.strip()})")
            return
        try:
            folder, generator, hits = pathlib.Path(scratch), random.Random(0), 0
            old_output(program, folder)
            began = time.monotonic()
            subprocess.run(command(program, folder, "--force"), check=True, stdout=subprocess.DEVNULL)
            seconds = time.monotonic() - began
            tries = 0
            while hits < points and tries < 20 * points:
                tries += 1
                old, late = old_output(program, folder), hits % 2 == 1
                run = None
                if late:
                    run = start(command(program, folder, "--force"))
                    time.sleep(generator.uniform(0.1, 0.95) * seconds)
                fill(folder, 0 if late else generator.randrange(0, 1_900_000))
                run = run or start(command(program, folder, "--force"))
                point = f"full disk {hits}, {'during the run' if late else 'from the start'}"
                if late and run.wait() == 0:
                    (folder / "filler").unlink()
                    continue  # It was done before the space was gone.
                errors = expect_failure(run, folder, old, point)
                (folder / "filler").unlink()
                finish(program, folder, new, point)
                hits += 1
            if hits < points:
                raise AssertionError(f"only {hits} of {points} runs met the full disk")
            print(f"a full disk at {hits} points: exit 5, the old output untouched, continued ({errors})")
        finally:
            subprocess.run(["umount", scratch], check=True)


def fill(folder, free):
    """Takes all space but some."""
    available = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    # Without a buffer: one that the full disk refuses would be written again, and refused again, at the end.
    with open(folder / "filler", "wb", buffering=0) as file:
        try:
            left = max(available - free, 0)
            while left > 0:
                left -= file.write(b"\0" * min(left, 1 << 16))
        except OSError:
            pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / ".build/release/lowrank")
    parser.add_argument("--points", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        subprocess.run(command(options.program, folder), check=True, stdout=subprocess.DEVNULL)
        new = digest(folder / "out")
        file_limits(options.program, folder, new, options.points)
        if os.geteuid() == 0 and sys.platform == "linux":
            full_disks(options.program, new, options.points)
        else:
            print("skipped: mounting a file system of memory needs root")


if __name__ == "__main__":
    main()
