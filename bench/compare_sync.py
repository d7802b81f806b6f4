#!/usr/bin/env python3
"""Times `aid sync` against s5cmd and `aws s3 sync`, all from one server on loopback (s3_loopback), in turns in one run.

    bench/compare_sync.py [BUILD_FOLDER] [--json FILE] [--folder DIR] [--turns N] [--peers s5cmd,aws] [--only http|tls]

Works: 10,000 objects of 8 KiB, 200 of 16 MiB, a second sync with nothing to do, over HTTP and over TLS. s5cmd's `sync` makes a command of
each object, which it parses, and asks for its HEAD first; `s5cmd cp` does neither, so it is a peer of its own where all is to be fetched.
s5cmd keeps two idle connections and opens others anew, whatever the server does. The files go to --folder; the
default is in memory (/dev/shm) where there is room, so that no disk is the limit: aid flushes what it fetches to the disk, the others
leave that to the kernel. Each program's tree is compared with the first one's.
Prints {work, peer, ratio, bar, ...} for each work; ratio is the peer's time over ours.
"""
import argparse
import filecmp
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

SMALL, LARGE = (10_000, 8 << 10), (200, 16 << 20)


class Runner:
    def __init__(self, build, url, folder, certificate):
        self.url, self.folder = url, folder
        self.environment = os.environ | {"AWS_ACCESS_KEY_ID": "first", "AWS_SECRET_ACCESS_KEY": "first", "AWS_REGION": "us-east-1",
                                         "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                                         "AWS_EC2_METADATA_DISABLED": "true"}
        if certificate:
            self.environment |= {"AWS_CA_BUNDLE": str(certificate), "SSL_CERT_FILE": str(certificate)}
        tool = pathlib.Path(sys.executable).parent
        self.commands = {
            "aid": lambda work, to: [build / "aid", "sync", f"s3://{work}/", "data", to, "--endpoint-url", url, "--quiet"],
            "s5cmd": lambda work, to: [tool / "s5cmd", "--endpoint-url", url, "--log", "error", "sync", f"s3://{work}/data/*", f"{to}/data/"],
            "s5cmd cp": lambda work, to: [tool / "s5cmd", "--endpoint-url", url, "--log", "error", "cp", f"s3://{work}/data/*", f"{to}/data/"],
            "aws": lambda work, to: [tool / "aws", "--endpoint-url", url, "s3", "sync", "--only-show-errors", f"s3://{work}/data/", f"{to}/data/"],
        }

    def target(self, program, work):
        return self.folder / f"{program.replace(' ', '-')}-{work}"

    def run(self, program, work, fresh):
        """Seconds, CPU seconds and the largest memory of one sync."""
        to = self.target(program, work)
        if fresh:
            shutil.rmtree(to, ignore_errors=True)
            (to / "data").mkdir(parents=True)
        start = time.perf_counter()
        child = subprocess.Popen(list(map(str, self.commands[program](work, to))), env=self.environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"{program} ended with {child.returncode}")
        return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "mb": usage.ru_maxrss / 1024}


def same_trees(a, b):
    files = sorted(path.relative_to(a) for path in (a / "data").rglob("*") if path.is_file())
    others = sorted(path.relative_to(b) for path in (b / "data").rglob("*") if path.is_file())
    return files == others and all(filecmp.cmp(a / file, b / file, shallow=False) for file in files)


def best(runs):
    return {key: min(run[key] for run in runs) if key != "mb" else max(run[key] for run in runs) for key in runs[0]}


def compare(runner, label, peers, turns):
    rows = []

    def measure(work, name, bars, fresh):
        # In turns, so that what else the machine does meets all alike. aws is slow: one turn.
        programs = [program for program in peers if program in bars or program == "aid"]
        runs = {program: [] for program in programs}
        for turn in range(turns):
            for program in programs:
                if program == "aws" and turn > 0:
                    continue
                runs[program].append(runner.run(program, work, fresh))
                target = runner.target(program, work)
                if turn == 0 and program != "aid":
                    assert same_trees(runner.target("aid", work), target), f"{program}: another tree"
                if work == "large" and program != "aid":  # memory holds two such trees, not four
                    shutil.rmtree(target)
        found = {program: best(list_of) for program, list_of in runs.items()}
        for program in programs[1:]:
            rows.append({"work": f"{name}, {label}", "peer": program, "ratio": round(found[program]["seconds"] / found["aid"]["seconds"], 2),
                         "bar": bars[program], "cpu_ratio": round(found[program]["cpu"] / found["aid"]["cpu"], 2),
                         **{f"ours_{key}": round(value, 3) for key, value in found["aid"].items()},
                         **{f"peer_{key}": round(value, 3) for key, value in found[program].items()}})
            print(json.dumps(rows[-1]), file=sys.stderr)

    measure("small", "10,000 objects of 8 KiB", {"s5cmd": 1, "s5cmd cp": 1, "aws": 10}, True)
    measure("small", "nothing to do, 10,000 objects", {"s5cmd": 1, "aws": 10}, False)
    measure("large", "200 objects of 16 MiB", {"s5cmd": 1, "s5cmd cp": 1, "aws": None}, True)
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--peers", default="s5cmd,s5cmd cp,aws")
    parser.add_argument("--only", choices=["http", "tls"])
    options = parser.parse_args()
    memory = pathlib.Path("/dev/shm")
    if options.folder is None and memory.is_dir() and shutil.disk_usage(memory).free > 16 << 30:
        options.folder = memory
    peers = ["aid", *filter(None, options.peers.split(","))]
    result = []
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = pathlib.Path(name)
        for label in ("http", "tls"):
            if options.only and label != options.only:
                continue
            certificate = folder / "certificate.pem" if label == "tls" else None
            arguments = ["--tls", certificate, folder / "key.pem"] if certificate else []
            for work, (count, size) in (("small", SMALL), ("large", LARGE)):
                arguments += [work, "data/", count, size]
            server = subprocess.Popen(list(map(str, [options.build / "s3_loopback", *arguments])), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            runner = Runner(options.build.resolve(), server.stdout.readline().strip(), folder, certificate)
            result += compare(runner, label, peers, options.turns)
            server.stdin.close()
            server.wait()
            for tree in folder.iterdir():
                if tree.is_dir():
                    shutil.rmtree(tree)
    text = json.dumps(result, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    slow = [row for row in result if row["bar"] and row["ratio"] < row["bar"]]
    return 1 if slow else 0


sys.exit(main())
