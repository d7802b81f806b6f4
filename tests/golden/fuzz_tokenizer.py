#!/usr/bin/env python3
"""Compares the tokenizer with the PyPI package `tokenizers` on random texts, ids and offsets, for as long as asked.

    pip install tokenizers && python3 tests/golden/fuzz_tokenizer.py PROGRAM VOCAB [SECONDS]

PROGRAM is the built tokenizer_folder. Needs no golden files; prints the first text that differs.
"""
import array
import itertools
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

SPECIAL = ["[MASK]", "[PAD]", "[UNK]", "[CLS]", "[SEP]"]
RANGES = [(0, 0x80), (0x80, 0x250), (0x2b0, 0x380), (0x370, 0x700), (0x900, 0x1000), (0x1100, 0x1200), (0x1ab0, 0x1b00), (0x1dc0, 0x2100),
          (0x3000, 0x3100), (0x4db0, 0x4e10), (0xac00, 0xd7a4), (0xf900, 0xfb50), (0xfe20, 0x10000), (0x10000, 0x20000), (0x2a6d0, 0x2f900), (0, 0xd800), (0xe000, 0x110000)]


def random_text(draw, words):
    text = []
    for _ in range(draw.randrange(1, 400)):
        kind = draw.random()
        if kind < 0.55:
            word = draw.choice(words)
            text.append(draw.choice((word, word.capitalize(), word.upper())))
        elif kind < 0.6:
            text.append("".join(draw.choice(words) for _ in range(draw.randrange(30))))
        elif kind < 0.62:
            text.append(draw.choice(SPECIAL))
        elif kind < 0.75:
            text.append("".join(chr(draw.randrange(0x300, 0x370)) if draw.random() < 0.7 else chr(draw.randrange(*draw.choice(RANGES))) for _ in range(6)))
        else:
            text.append(chr(draw.randrange(*draw.choice(RANGES))))
        if draw.random() < 0.5:
            text.append(draw.choice("  \n\t\r.,;"))
    return "".join(text).encode("utf-8", "surrogatepass")


def main():
    program, vocab_file, seconds = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 60
    vocab = vocab_file.read_text(encoding="utf-8").split("\n")
    words = [token.removeprefix("##") for token in vocab if token and token[0] != "["]
    draw, end, count, tokens = random.Random(int(time.time())), time.time() + seconds, 0, 0
    for lowercase, strip in itertools.cycle(itertools.product((True, False), (False, True, None))):
        if time.time() > end:
            break
        oracle = Tokenizer(models.WordPiece.from_file(str(vocab_file), unk_token="[UNK]"))
        oracle.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip)
        oracle.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        oracle.add_special_tokens(SPECIAL)
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "vocab.txt").write_bytes(vocab_file.read_bytes())
            (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lowercase, "strip_accents": strip}))
            (folder / "files").write_text("".join(f"{folder}/{i}.txt\n" for i in range(400)))
            raw = [random_text(draw, words) for _ in range(400)]
            raw = [text if i % 4 else bytes(b if draw.random() < 0.97 else draw.randrange(256) for b in text) for i, text in enumerate(raw)]
            for i, text in enumerate(raw):
                (folder / f"{i}.txt").write_bytes(text)
            subprocess.run([program, folder, folder / "files", folder / "ids"], stdin=subprocess.DEVNULL, check=True, stdout=subprocess.DEVNULL)
            flat, at = array.array("i", (folder / "ids").read_bytes()).tolist(), 0
        texts = [text.decode("utf-8", "replace") for text in raw]
        for text, encoding in zip(texts, oracle.encode_batch(texts)):
            n = flat[at]
            ids, offsets = flat[at + 1:at + 1 + n], list(zip(flat[at + 1 + n:at + 1 + 3 * n:2], flat[at + 2 + n:at + 1 + 3 * n:2]))
            at += 1 + 3 * n
            if ids != encoding.ids or offsets != encoding.offsets:
                where = next((i for i, pair in enumerate(zip(zip(ids, offsets), zip(encoding.ids, encoding.offsets))) if pair[0] != pair[1]), min(n, len(encoding.ids)))
                begin = max(0, encoding.offsets[where][0] - 10) if where < len(encoding.offsets) else 0
                print(f"differs: lowercase {lowercase}, strip_accents {strip}, token {where}, near {ascii(text[begin:begin + 60])}\n"
                      f"ours {list(zip(ids, offsets))[where:where + 4]}\ntheirs {list(zip(encoding.ids, encoding.offsets))[where:where + 4]}")
                return 1
            tokens += n
        count += len(texts)
    print(f"{count} texts, {tokens} tokens: all equal")
    return 0


sys.exit(main())
