#!/usr/bin/env python3
"""Loads the completions into a real bash and a real zsh, presses the tab key, and looks at what the shell shows.

    Scripts/check_completions.py [PROGRAM]          (.build/release/lowrank by default)

Each shell runs interactively in a terminal of its own and ends with it, whatever it does: nothing waits for a shell
that does not answer. A shell that is not installed is skipped, which is said.
"""

import fcntl
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
READY = "ready-42"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>()][0-9A-B]?|[\x07\r\x0f]")

# What is typed, and what must be seen behind it.
CASES = [
    ("lowrank comple", ["completions"]),
    ("lowrank compress --me", ["--method"]),
    ("lowrank compress --stor", ["--storage"]),
    ("lowrank compress --storage pi", ["pivot"]),
    ("lowrank compress --method t", ["tucker", "tt"]),
    ("lowrank stats m", ["merge"]),
    ("lowrank eval mod", ["model-"]),
]


class Shell:
    """An interactive shell in a terminal of 200 columns."""

    def __init__(self, words, folder):
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            os.environ.update(TERM="xterm", PS1="", LC_ALL="C.UTF-8", HOME=folder)
            os.execvp(words[0], words)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))

    def type(self, text):
        os.write(self.terminal, text.encode())

    def read(self, wanted, seconds):
        """What comes until all of `wanted` has come, or the time is over."""
        seen, end = "", time.monotonic() + seconds
        while not all(part in seen for part in wanted) and time.monotonic() < end:
            if not select.select([self.terminal], [], [], 0.1)[0]:
                continue
            try:
                seen += ESCAPES.sub("", os.read(self.terminal, 65536).decode(errors="replace"))
            except OSError:  # The shell is gone.
                break
        return seen

    def close(self):
        os.kill(self.process, signal.SIGKILL)
        os.close(self.terminal)
        os.waitpid(self.process, 0)


def complete(words, setup, typed, wanted, folder):
    """What the shell shows behind `typed` and the tab key, pressed twice for a list of several."""
    shell = Shell(words, folder)
    try:
        # The sum is the shell's, so that the echo of the line is no answer.
        shell.type(setup + "; echo ready-$((40 + 2))\n")
        if READY not in shell.read([READY], 60):
            return None
        shell.type(typed + "\t\t")
        # The echo of what is typed has none of the words that are wanted.
        return shell.read(wanted, 20)
    finally:
        shell.close()


def main():
    program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".build/release/lowrank").resolve()
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        functions = pathlib.Path(scratch) / "functions"
        folder = pathlib.Path(scratch) / "work"
        for path in (functions, folder / "model-a", folder / "model-b"):
            path.mkdir(parents=True)
        for shell, name in [("bash", "lowrank.bash"), ("zsh", "_lowrank")]:
            script = subprocess.run([program, "completions", shell], capture_output=True, check=True).stdout
            (functions / name).write_bytes(script)
        shells = [
            ("bash", ["bash", "--norc", "-i"], f"source {functions}/lowrank.bash"),
            ("zsh", ["zsh", "-f", "-i"], f"fpath=({functions} $fpath); autoload -U compinit; compinit -u -D"),
        ]
        for shell, words, setup in shells:
            if not shutil.which(shell):
                print(f"{shell}: skipped, not installed")
                continue
            for typed, wanted in CASES:
                seen = complete(words, setup, typed, wanted, str(folder))
                found = seen is not None and all(part in seen for part in wanted)
                failed |= not found
                answer = "the shell never became ready" if seen is None else repr(seen[-200:])
                print(f"{shell}: '{typed}' gives {' '.join(wanted)}" if found else f"{shell}: '{typed}': {answer}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
