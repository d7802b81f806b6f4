#!/usr/bin/env python3
"""Writes the tables of this folder: what Python's str does to each code point, and what spaCy knows by heart.

    pip install spacy && python3 tokenizer/spacy/generate_tables.py unicode > tokenizer/spacy/characters.inc
                         python3 tokenizer/spacy/generate_tables.py strings > tokenizer/spacy/strings.inc

Characters are of the Unicode version that this Python has; spaCy asks Python, so that its answers differ between Pythons
for the newest letters alone.
"""
import pathlib
import pkgutil
import sys
import unicodedata

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from inc_tables import table  # noqa: E402

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def characters():
    records, runs = {}, []
    for c in CODE_POINTS:
        char = chr(c)
        # str.lower() writes a sigma at a word's end otherwise: what stands before it decides, past case-ignorable characters.
        cased = (char + "Σ").lower().endswith("ς")
        ignorable = not cased and ("a" + char + "Σ").lower().endswith("ς")
        flags = {"kSpace": char.isspace(), "kAlpha": char.isalpha(), "kUpper": char.isupper(), "kDigit": char.isdigit(),
                 "kDecimal": char.isdecimal(), "kWord": char.isalnum() or char == "_", "kCased": cased, "kCaseIgnorable": ignorable}
        lowered = char.lower()
        assert len(lowered) == 1 or (c, lowered) == (0x130, "i\u0307"), hex(c)
        record = (" | ".join(name for name, on in flags.items() if on) or "0", ord(lowered[0]) - c)
        index = records.setdefault(record, len(records))
        if not runs or runs[-1][1] != index:
            runs.append((c, index))
    assert len(records) <= 256
    print(f"// Written by generate_tables.py with Unicode {unicodedata.unidata_version}. Not to be edited.\n")
    table("constexpr Character kRecords[]", ["{%s, %d}" % r for r in records])
    print("// First code point of each run of equal characters, and their record.")
    table("constexpr Run kRuns[]", ["{0x%X, %d}" % r for r in runs])


def quoted(text):
    """A C++ literal of UTF-8 bytes; octal escapes end by themselves."""
    return '"' + "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode()) + '"'


def strings():
    import spacy
    from spacy.attrs import NORM, LOWER, PREFIX, SHAPE, SUFFIX
    from spacy.lang.norm_exceptions import BASE_NORMS
    from spacy.symbols import IDS

    print(f"// Written by generate_tables.py from spaCy {spacy.__version__}. Not to be edited.\n")
    print("// Strings whose id is no hash (spacy/symbols.pyx), sorted.")
    table("constexpr Symbol kSymbols[]", ["{%s, %d}" % (quoted(name), value) for name, value in sorted(IDS.items()) if name])
    print("// spacy/lang/norm_exceptions.py, sorted.")
    table("constexpr BaseNorm kBaseNorms[]",
          ["{%s, %s}" % (quoted(a), quoted(b)) for a, b in sorted(BASE_NORMS.items(), key=lambda pair: pair[0].encode())])
    plain = []
    for module in pkgutil.iter_modules(spacy.lang.__path__):
        if not module.ispkg:
            continue
        language = spacy.util.get_lang_class(module.name)
        own = language.Defaults.lex_attr_getters
        usual = spacy.language.BaseDefaults.lex_attr_getters
        same = all(own.get(attribute) is usual.get(attribute) for attribute in (NORM, LOWER, PREFIX, SHAPE, SUFFIX))
        stated = language.default_config["nlp"]["tokenizer"] == {"@tokenizers": "spacy.Tokenizer.v1"}
        if same and stated:
            plain.append(module.name)
    print("// Languages whose tokenizer and lexemes are all in the pipeline's files: no code of their own.")
    table("constexpr std::string_view kLanguages[]", [quoted(name) for name in sorted(plain)])


{"unicode": characters, "strings": strings}[sys.argv[1]]()
