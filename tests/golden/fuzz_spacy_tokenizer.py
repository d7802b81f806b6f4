#!/usr/bin/env python3
"""Compares `aid tokenize` with spaCy on random texts, tokens, spaces and ids, for as long as asked.

    pip install spacy && python3 tests/golden/fuzz_spacy_tokenizer.py PROGRAM [SECONDS] [LANGUAGE...]

PROGRAM is aid. Takes turns among spaCy's languages that it can reproduce, or those given. Needs no golden files; prints the
first text that differs.
"""
import itertools
import json
import pathlib
import pkgutil
import random
import subprocess
import sys
import tempfile
import time
import warnings

import spacy
from spacy.symbols import NORM, ORTH

ATTRIBUTES = ["ORTH", "NORM", "LOWER", "PREFIX", "SUFFIX", "SHAPE", "SPACY", "IS_SPACE"]
RANGES = [(0x21, 0x7f), (0x80, 0x250), (0x2b0, 0x700), (0x900, 0x1000), (0x1e00, 0x2100), (0x2100, 0x2c00), (0x3000, 0x3100), (0xa640, 0xac00), (0xf900, 0x10000),
          (0x10400, 0x10800), (0x1d400, 0x1d800), (0x1f100, 0x1fa00), (0, 0xd800), (0xe000, 0x110000)]
WORDS = """El la de que y señor niña Núñez casa día John's can't shouldn't've www.ejemplo.es/a?b=c#d https://x.org:8080/y juan.perez@correo.com ftp://a.b
1.234,56 10:30 3.5km 25°C. US$30 €5 50% A.B.C. i.e. p.m. 12pm AT&T C++ co-operate state-of-the-art ÀÉ Straße ΌΣΟΣ İzmir привет 中国 हिन्दी العربية 100 ١٢٣
192.168.1.1 10.0.0.1 8.8.8.8:53 a@b http:// user:pass@host.com/x(y) v1.2.3 #tag @user f(x)=y a/b 5-10 -7 +3 x^2 2*3 ... -- '' `` º ª ½ ²""".split()


def random_text(draw, characters, exceptions):
    text = []
    for _ in range(draw.randrange(1, 120)):
        kind = draw.random()
        if kind < 0.35:
            word = draw.choice(WORDS)
            text.append(draw.choice((word, word, word, word.upper(), word.title(), word[::-1], word[:draw.randrange(len(word)) + 1])))
        elif kind < 0.5 and exceptions:
            text.append(draw.choice(exceptions))
        elif kind < 0.85:
            text.append(draw.choice(".,;:!?'\"()[]{}<>-_/&%$€@#*+^=~0123456789" if draw.random() < 0.6 else characters) * draw.choice((1, 1, 1, 1, 2, 3)))
        else:
            text.append(chr(draw.randrange(*draw.choice(RANGES))))
        if draw.random() < 0.45:
            text.append(draw.choice((" ",) * 12 + ("  ", "\n", "\t", "\u00a0", " \n ", "\u2003", "\x1c", "\x85")))
    return "".join(text).encode("utf-8", "replace")


def languages():
    for module in pkgutil.iter_modules(spacy.lang.__path__):
        if module.ispkg:
            language = spacy.util.get_lang_class(module.name)
            if language.default_config["nlp"]["tokenizer"] == {"@tokenizers": "spacy.Tokenizer.v1"} and NORM not in language.Defaults.lex_attr_getters:
                yield module.name


def differing(ours, doc):
    words = [token.text for token in doc]
    if ours["tokens"] != words:
        at = next((i for i, pair in enumerate(zip(ours["tokens"], words)) if pair[0] != pair[1]), min(len(words), len(ours["tokens"])))
        return f"token {at}: ours {ascii(ours['tokens'][at:at + 4])}, theirs {ascii(words[at:at + 4])}, after {ascii(words[max(0, at - 4):at])}"
    if ours["offsets"] != [[token.idx, token.idx + len(token)] for token in doc]:
        return "offsets"
    for name in ATTRIBUTES:
        theirs = [int(value) for value in doc.to_array([name])]
        if ours[name] != theirs:
            at = next(i for i, pair in enumerate(zip(ours[name], theirs)) if pair[0] != pair[1])
            return f"{name} of {ascii(words[at])}: ours {ours[name][at]}, theirs {theirs[at]}"
    return None if ours["spaces"] == [bool(token.whitespace_) for token in doc] else "spaces"


def main():
    warnings.simplefilter("ignore")
    program, seconds, names = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 60, sys.argv[3:] or list(languages())
    draw, end, texts, tokens, refused = random.Random(int(time.time())), time.time() + seconds, 0, 0, {}
    draw.shuffle(names)
    for name in itertools.cycle(names):
        if time.time() > end or len(refused) == len(names):
            break
        if name in refused:
            continue
        nlp = spacy.blank(name)
        exceptions = sorted(nlp.tokenizer.rules)
        for _ in range(draw.randrange(4)):  # exceptions that the language does not have
            word = draw.choice(WORDS) + draw.choice(("", "", " ", ".", "(", " y")) + draw.choice(WORDS)
            cut = draw.randrange(1, len(word))
            nlp.tokenizer.add_special_case(word, draw.choice(([{ORTH: word, NORM: "n"}], [{ORTH: word[:cut]}, {ORTH: word[cut:], NORM: word[:cut]}])))
            exceptions += [word] * 20
        nlp.tokenizer.faster_heuristics = draw.random() < 0.8
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            nlp.to_disk(folder / "pipeline")
            theirs = spacy.load(folder / "pipeline").tokenizer
            parts = (theirs.prefix_search, theirs.suffix_search, theirs.infix_finditer)
            characters = sorted({c for part in parts if part for c in part.__self__.pattern if not c.isspace()})
            raw = [random_text(draw, characters, exceptions) for _ in range(150)]
            raw = [text if i % 5 else bytes(b if draw.random() < 0.97 else draw.randrange(256) for b in text) for i, text in enumerate(raw)]
            raw = [text.replace(b"\n", b"\x0b") for text in raw]
            (folder / "texts").write_bytes(b"".join(text + b"\n" for text in raw))
            run = subprocess.run([program, "tokenize", folder / "pipeline", folder / "texts", "--attributes", ",".join(ATTRIBUTES)], capture_output=True)
            if run.returncode != 0:
                refused[name] = run.stderr.decode(errors="replace").strip()
                continue
        ours = [json.loads(line) for line in run.stdout.splitlines()]
        assert len(ours) == len(raw), (len(ours), len(raw))
        for text, mine in zip((text.decode("utf-8", "replace") for text in raw), ours):
            doc = theirs(text)
            if what := differing(mine, doc):
                print(f"{name} differs: {what}\nin {ascii(text)}")
                return 1
            texts, tokens = texts + 1, tokens + len(doc)
    for name, why in refused.items():
        print(f"{name} refused: {why}")
    print(f"{len(set(names)) - len(refused)} languages, {texts} texts, {tokens} tokens: all equal")
    return 0


sys.exit(main())
