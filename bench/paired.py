"""Work of aid's beside a peer's in one run, in turns."""
import json
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAIRS = 15


class Worker:
    """A program of bench/ that says "ready", then does each work that a line names and prints the milliseconds."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen([ROOT / "build/release" / program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            sys.exit(f"{program} did not start")

    def ms(self, work):
        self.process.stdin.write(work + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def timed_ms(work):
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def compare(work, peer, bar, ours_ms, peer_ms, pairs=PAIRS):
    ours_ms(), peer_ms()
    times = [(ours_ms(), peer_ms()) for _ in range(pairs)]
    return {"work": work, "peer": peer, "ratio": round(statistics.median(theirs / mine for mine, theirs in times), 3), "bar": bar,
            "ours_ms": round(statistics.median(mine for mine, _ in times), 3), "peer_ms": round(statistics.median(theirs for _, theirs in times), 3)}


def report(result, file, differing):
    """Prints the result, and into a file unless None; returns the exit status: 1 where documents came out differently."""
    text = json.dumps(result, indent=1)
    print(text)
    if file:
        file.write_text(text + "\n")
    for name in differing[:10]:
        print(f"differs: {name}", file=sys.stderr)
    return 1 if differing else 0
