#!/usr/bin/env python3
"""Times the tokenizer against nanotoken and tokenizers in one run, in turns, and checks that every document gets the same ids.

    ./dev compare tokenizer VOCAB TEXTS [--json FILE]

VOCAB is the vocab.txt of an uncased model, TEXTS a folder of .txt files. Prints {work, peer, ratio, bar, ours_ms, peer_ms} for each work:
ratio is the median of the pairs' ratios, a pair being one pass of the peer beside one of ours; above 1, ours is faster.
"""
import argparse
import array
import pathlib
import shutil
import sys
import tempfile

import nanotoken
import tokenizers
from paired import Worker, compare, report, timed_ms


class Ours(Worker):
    def __init__(self, folder, vocab, files):
        shutil.copy(vocab, folder / "vocab.txt")
        (folder / "tokenizer_config.json").write_text('{"do_lower_case": true, "strip_accents": false}')
        (folder / "files").write_text("".join(f"{file}\n" for file in files))
        self.ids_file = folder / "ids"
        super().__init__("tokenizer_folder", folder, folder / "files", self.ids_file)

    def ids(self):
        flat, rows, at = array.array("i", self.ids_file.read_bytes()), [], 0
        while at < len(flat):
            rows.append(flat[at + 1:at + 1 + flat[at]].tolist())
            at += 1 + 3 * flat[at]
        return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("vocab", type=pathlib.Path)
    parser.add_argument("texts", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    files = sorted(options.texts.rglob("*.txt"))
    texts = [file.read_bytes().decode("utf-8", errors="replace") for file in files]

    nano = nanotoken.Tokenizer.from_vocab(options.vocab, lowercase=True, strip_accents=False)
    hugging_face = tokenizers.Tokenizer.from_str(nano.to_json())

    def encode_cold():
        nano.clear_cache()
        return timed_ms(lambda: [nano.encode(text) for text in texts])

    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(pathlib.Path(folder), options.vocab, files)
        rows = ours.ids()
        expected = [encoding.ids for encoding in hugging_face.encode_batch_fast(texts, add_special_tokens=False)]
        result = [
            compare("tokenize, ids, 1 thread", "nanotoken encode", 2.0, lambda: ours.ms("ids"), lambda: timed_ms(lambda: [nano.encode(text) for text in texts])),
            compare("tokenize, ids, 1 thread, nothing cached", "nanotoken encode", None, lambda: ours.ms("cold"), encode_cold),
            compare("tokenize, ids, 2 threads", "nanotoken encode_batch", 1.5, lambda: ours.ms("batch"), lambda: timed_ms(lambda: nano.encode_batch(texts))),
            compare("tokenize, offsets, 1 thread", "our ids alone", round(1 / 1.3, 3), lambda: ours.ms("offsets"), lambda: ours.ms("ids")),
            compare("tokenize, ids, 1 thread", "tokenizers encode", None, lambda: ours.ms("ids"),
                    lambda: timed_ms(lambda: [hugging_face.encode(text, add_special_tokens=False) for text in texts]), pairs=1),
        ]
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    differing = [str(file) for file, a, b in zip(files, rows, expected) if a != b]
    print(f"{len(files)} files, {megabytes:.1f} MB; ids alone {megabytes / result[0]['ours_ms'] * 1000:.0f} MB/s; "
          f"{len(files) - len(differing)} of {len(files)} files have the ids of tokenizers", file=sys.stderr)
    return report(result, options.json, differing)


sys.exit(main())
