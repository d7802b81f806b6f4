#!/usr/bin/env python3
"""Writes unicode_tables.inc: what the PyPI package `tokenizers` does to every Unicode scalar value.

    pip install tokenizers && python3 tokenizer/generate_unicode_tables.py > tokenizer/unicode_tables.inc

Its Rust crates carry character tables of several Unicode versions, so no single version of a Unicode library agrees with
them; asking the library itself is the only exact source.
"""
import tokenizers
from inc_tables import table
from tokenizers import normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HANGUL = range(0xAC00, 0xAC00 + 11172)  # decomposed by arithmetic


def bert(**on):
    options = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**options, **on})


clean, cjk = bert(clean_text=True), bert(handle_chinese_chars=True)
strip, lower, nfd = bert(strip_accents=True), bert(lowercase=True), normalizers.NFD()
split = pre_tokenizers.BertPreTokenizer()


def combining_classes():
    """Canonical combining classes, up to order: NFD swaps a pair of marks when the second one's class is the lower."""
    highest = chr(0x345)
    marks = [c for c in CODE_POINTS if nfd.normalize_str(chr(c)) == chr(c)
             and (c == 0x345 or nfd.normalize_str(highest + chr(c)) == chr(c) + highest)]

    def below(a, b):
        return nfd.normalize_str(chr(b) + chr(a)) == chr(a) + chr(b) and a != b

    levels = []  # one representative each, ascending
    for mark in marks:
        at = sum(below(level, mark) for level in levels)
        if at == len(levels) or below(mark, levels[at]):
            levels.insert(at, mark)
    return {mark: 1 + sum(below(level, mark) for level in levels) for mark in marks}


def main():
    classes = combining_classes()
    records, ranges, decompositions = {}, [], []
    for c in CODE_POINTS:
        char = chr(c)
        flags = []
        if clean.normalize_str(char) == "":
            flags.append("kRemoved")
        if cjk.normalize_str(char) != char:
            flags.append("kIdeograph")
        pieces = [piece for piece, _ in split.pre_tokenize_str(f"a{char}a")]
        if len(pieces) == 2:
            flags.append("kSpace")
        elif len(pieces) == 3:
            flags.append("kPunctuation")
        decomposed = nfd.normalize_str(char)
        if decomposed != char:
            flags.append("kDecomposes")
            if c not in HANGUL:
                decompositions.append((c, [ord(x) for x in decomposed]))
        elif strip.normalize_str(char) == "":
            flags.append("kMark")
        lowered = lower.normalize_str(char)
        assert len(lowered) == 1 or (c, lowered) == (0x130, "i\u0307"), hex(c)
        record = (" | ".join(flags) or "0", classes.get(c, 0), ord(lowered[0]) - c)
        index = records.setdefault(record, len(records))
        if not ranges or ranges[-1][1] != index:
            ranges.append((c, index))
    assert len(records) <= 256 and max(len(d) for _, d in decompositions) <= 4

    print(f"// Written by generate_unicode_tables.py from tokenizers {tokenizers.__version__}. Not to be edited.\n")
    table("constexpr Properties kRecords[]", ["{%s, %d, %d}" % r for r in records])
    print("// First code point of each run of equal properties, and their record.")
    table("constexpr Run kRuns[]", ["{0x%X, %d}" % r for r in ranges])
    table("constexpr Decomposition kDecompositions[]",
          ["{0x%X, {%s}}" % (c, ", ".join("0x%X" % x for x in to)) for c, to in decompositions])


main()
