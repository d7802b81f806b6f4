"""Near duplicates of `aid data verify` against every pair compared in Python, and against datasketch's MinHash LSH.

    python tests/peers/near_duplicates.py [BUILD_FOLDER] [--documents N]

Texts of validation are made from texts of training by changing some words. For each validation file the most similar training file
is looked for by comparing all pairs: `aid` must tell the same files with the same similarities. datasketch (256 permutations, the
same shingles) must find nothing at or above the threshold that `aid` does not. With more documents only datasketch is compared, and
both are timed.
"""

import argparse
import json
import pathlib
import random
import re
import subprocess
import tempfile
import time

from datasketch import MinHash, MinHashLSH

THRESHOLD, WORDS = 0.8, 5


def make(folder, documents):
    """Half of the documents in train, half in val; of those a third nearly repeats one of train."""
    rng = random.Random(5)
    words = [f"palabra{i}" for i in range(3000)] + ["Año", "ñandú,", "ley.", "Artículo"]
    texts = {"train": {}, "val": {}}
    for split in texts:
        for i in range(documents // 2):
            if split == "val" and rng.random() < 0.33:
                text = rng.choice(list(texts["train"].values())).split(" ")
                for _ in range(rng.randrange(12)):
                    text[rng.randrange(len(text))] = rng.choice(words)
            else:
                text = rng.choices(words, k=rng.randrange(100, 700))
            texts[split][f"text_dataset/{split}/{'acta' if i % 2 else 'ley'}/{i}.txt"] = " ".join(text)
    for split in texts.values():
        for name, text in split.items():
            path = folder / "data_v1" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return texts


def shingles(text):
    words = ["".join(c.lower() if ord(c) < 128 else c for c in word) for word in re.findall(r"[0-9A-Za-z\u0080-\U0010ffff]+", text)]
    return {" ".join(words[i:i + WORDS]) for i in range(len(words) - WORDS + 1)} or {" ".join(words)}


def jaccard(a, b):
    return len(a & b) / len(a | b)


def ours(build, folder):
    start = time.perf_counter()
    run = subprocess.run([build / "aid", "data", "verify", folder / "data_v1", "--near", str(THRESHOLD), "--json", folder / "out.json"],
                         capture_output=True, text=True)
    seconds = time.perf_counter() - start
    assert run.returncode in (0, 1), run.stderr
    found = {}
    for finding in json.loads((folder / "out.json").read_text())["findings"]:
        if finding["kind"] == "leak":
            found.update({item["file"]: (item["other"], item.get("similarity", 1.0)) for item in finding["items"]})
    return found, seconds


def sketched(sets):
    """Pairs of datasketch's that are at or above the threshold."""
    start = time.perf_counter()
    index = MinHashLSH(threshold=THRESHOLD, num_perm=256)
    hashes = {split: {} for split in sets}
    for split, files in sets.items():
        for name, shingle_set in files.items():
            sketch = MinHash(num_perm=256)
            sketch.update_batch([shingle.encode() for shingle in shingle_set])
            hashes[split][name] = sketch
    for name, sketch in hashes["train"].items():
        index.insert(name, sketch)
    pairs = [(val, train) for val, sketch in hashes["val"].items() for train in index.query(sketch)]
    pairs = {(val, train) for val, train in pairs if jaccard(sets["val"][val], sets["train"][train]) >= THRESHOLD}
    return pairs, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default="build/release")
    parser.add_argument("--documents", type=int, default=1000)
    options = parser.parse_args()
    build = pathlib.Path(options.build).resolve()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        texts = make(folder, options.documents)
        sets = {split: {name: shingles(text) for name, text in files.items()} for split, files in texts.items()}
        found, seconds = ours(build, folder)
        pairs, seconds_of_datasketch = sketched(sets)
    for val, train in pairs:
        assert val in found, (val, train)
        assert found[val][1] >= jaccard(sets["val"][val], sets["train"][train]) - 1e-12
    for val, (train, similarity) in found.items():
        assert abs(jaccard(sets["val"][val], sets["train"][train]) - similarity) < 1e-12
    compared = "datasketch"
    if options.documents <= 2000:
        compared += " and all pairs"
        for val, own in sets["val"].items():
            best = max(jaccard(own, other) for other in sets["train"].values())
            assert (best >= THRESHOLD) == (val in found), (val, best)
            assert best < THRESHOLD or abs(found[val][1] - best) < 1e-12
    print(f"{len(found)} near duplicates among {options.documents} documents as {compared}; "
          f"aid {seconds:.2f} s (whole program), datasketch {seconds_of_datasketch:.2f} s (sketches and queries)")


main()
