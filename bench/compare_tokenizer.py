#!/usr/bin/env python3
"""Times the tokenizer against nanotoken and tokenizers in one run, and checks that every document gets the same ids.

    bench/compare_tokenizer.py PROGRAM VOCAB TEXTS [--json FILE]

PROGRAM is the built tokenizer_folder, VOCAB a vocab.txt of an uncased model, TEXTS a folder of .txt files.
Prints {work, peer, ratio, bar, ours_ms, peer_ms} for each work; ratio is the peer's time over ours.
"""
import argparse
import array
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import nanotoken
import tokenizers


def best_ms(work, passes):
    best = float("inf")
    for _ in range(passes):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return 1000 * best


def ours(program, vocab, files):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(vocab, pathlib.Path(folder, "vocab.txt"))
        pathlib.Path(folder, "tokenizer_config.json").write_text('{"do_lower_case": true, "strip_accents": false}')
        ids_file = pathlib.Path(folder, "ids")
        done = subprocess.run([program, folder, ids_file], input="\n".join(map(str, files)), text=True, check=True, stdout=subprocess.PIPE)
        flat, rows, at = array.array("i", ids_file.read_bytes()), [], 0
        while at < len(flat):
            rows.append(flat[at + 1:at + 1 + flat[at]].tolist())
            at += 1 + 3 * flat[at]
        return json.loads(done.stdout), rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("vocab", type=pathlib.Path)
    parser.add_argument("texts", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    files = sorted(options.texts.rglob("*.txt"))
    texts = [file.read_bytes().decode("utf-8", errors="replace") for file in files]
    megabytes = sum(file.stat().st_size for file in files) / 1e6

    nano = nanotoken.Tokenizer.from_vocab(options.vocab, lowercase=True, strip_accents=False)
    hugging_face = tokenizers.Tokenizer.from_str(nano.to_json())

    def encode_cold():
        nano.clear_cache()
        for text in texts:
            nano.encode(text)

    before, _ = ours(options.program, options.vocab, files)
    peer = {
        "cold": best_ms(encode_cold, 3),
        "encode": best_ms(lambda: [nano.encode(text) for text in texts], 9),
        "batch": best_ms(lambda: nano.encode_batch(texts), 9),
    }
    after, rows = ours(options.program, options.vocab, files)
    mine = {work: min(before[work], after[work]) for work in before}  # on both sides of the peer's turn
    hf_rows, start = [], time.perf_counter()
    for text in texts:
        hf_rows.append(hugging_face.encode_fast(text, add_special_tokens=False).ids if hasattr(hugging_face, "encode_fast")
                       else hugging_face.encode(text, add_special_tokens=False).ids)
    peer_hf = 1000 * (time.perf_counter() - start)
    differing = [str(file) for file, a, b in zip(files, rows, hf_rows) if a != b]

    def row(work, name, ours_ms, peer_ms, bar):
        return {"work": work, "peer": name, "ratio": round(peer_ms / ours_ms, 3), "bar": bar, "ours_ms": round(ours_ms, 3), "peer_ms": round(peer_ms, 3)}

    result = [
        row("tokenize, ids, 1 thread", "nanotoken encode", mine["encode"], peer["encode"], 2.0),
        row("tokenize, ids, 1 thread, nothing cached", "nanotoken encode", mine["cold"], peer["cold"], 2.0),
        row("tokenize, ids, 2 threads", "nanotoken encode_batch", mine["batch"], peer["batch"], 1.5),
        row("tokenize, offsets, 1 thread", "ids alone", mine["offsets"], mine["encode"], round(1 / 1.3, 3)),
        row("tokenize, ids, 1 thread", "tokenizers encode", mine["encode"], peer_hf, 2.0),
    ]
    print(f"{len(files)} files, {megabytes:.1f} MB; ids alone {megabytes / mine['encode'] * 1000:.0f} MB/s; "
          f"{len(files) - len(differing)} of {len(files)} files have the ids of tokenizers", file=sys.stderr)
    text = json.dumps(result, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    for name in differing[:10]:
        print(f"differs: {name}", file=sys.stderr)
    return 1 if differing else 0


sys.exit(main())
