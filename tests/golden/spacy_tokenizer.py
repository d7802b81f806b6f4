#!/usr/bin/env python3
"""Writes tests/golden/spacy/: pipelines of spaCy's, and what their tokenizers make of hard texts.

    pip install spacy && python3 tests/golden/spacy_tokenizer.py

Made with spaCy 3.8.18 on a Python with Unicode 14. Texts are sentences of our own and drawn at random. A row is a text with
its tokens, which of them a space follows ("1"), and the FNV-1a hash (64 bits) of the tokens' ids, 8 bytes little-endian
each, in the order of ATTRIBUTES.
"""
import json
import pathlib
import random
import shutil

import spacy
from spacy.symbols import NORM, ORTH

OUT = pathlib.Path(__file__).parent / "spacy"
ATTRIBUTES = ["ORTH", "NORM", "LOWER", "PREFIX", "SUFFIX", "SHAPE", "SPACY", "IS_SPACE"]
SENTENCES = """
El Sr. Gil (que vive en EE. UU.) llegará a las 3p.m., pal caso; la Dra. Ruiz, S.A., no. ¿Quién? ¡Nadie!
Escriba a juan.perez@correo.com o visite https://www.ejemplo.es/ruta?x=1&y=2#z, www.prueba.org: gracias.
Cuesta 10,50€, US$30, £7 y 5%; pesa 3kg/m², a 25°C. o 12km. Art.5º-B, n°7, 1.234.567,89 -12 +34 6*7 8^9 a/b.
«¿Vas?», dijo—“sí”, 'no'... pero…nada; (véase pág. 4, fig. 2, etc.) [nota]{x}<y>_z_ #tema @uno &c.
ÁRBOL Ñandú pingüino İstanbul ΌΣΟΣ ΑΣ. Straße ǅ ﬁn ½ ² ① Ⅷ 中国。 हिन्दी। العربية؟ 한국어 ひらがな
I can't, won't, shouldn't've; it's John's — we'll see. U.S. e.g. i.e. 5pm 10a.m. Ph.D. O'Neil dogs' y'all cos
:) :-( ;D xD <3 ¯\\_(ツ)_/¯ (:) ^_^ 😀👩‍👩‍👧🇵🇪 ♥ ™ →←↑↓ a:b=c<d>e f,g h.i J.K L.m n~o p-q r--s t—u
""".strip().split("\n")
TEXTS = [
    "", " ", "  ", "a", " a", "a ", "a  b", " a  b ", "\n", "linea \n fin", "\t\u00a0x\u2003y\u3000z\x85w\u2028v\x1cu\r\n", "a\n b", "a \n", "   a",
    "\x00", "a\x00b", "\ufffd", "Dr.House", "(Dr.House)", "EE. UU.", "EE.  UU.", "(EE. UU.)", "EE.\u00a0UU.", "xEE. UU.", ":):(", "(((:)))", "8)",
    "aprox.", "(aprox.)", "aprox..", "'aprox.'", "pal", "pal.", "\"pal\"", "1p.m.", "12m.", "°C.", "20°C.", "a.", "ä.", "z.)", "http://", "http://a.b/c(d)",
    "x" * 99, "x" * 100, "x" * 300, "(" * 40 + "y" + ")" * 40, "." * 12, "-" * 12, "…" * 5, "a" + "," * 5 + "b", "3" * 20 + "km", "km", "3km", "3тб", "3тбكم",
    "X", "_", "acl", "root", "det", "ORTH", "IS_ALPHA", "'s", "’s", "``", "´´", "US$", "——", "---", "--", "฿", "e\u0301tat", "\u0301", "İ", "ΑΣ ΑΣΑ Σ ΑΣ\u0301 Α\u0301Σ1",
]


def pipelines():
    """Names and pipelines: spaCy's own rules, and some that a person might add."""
    for language in ("es", "xx", "en"):
        yield language, spacy.blank(language)
    odd = spacy.blank("es")
    tokenizer = odd.tokenizer
    tokenizer.add_special_case("porfa", [{ORTH: "por", NORM: "por"}, {ORTH: "fa", NORM: "favor"}])
    tokenizer.add_special_case("a la vez", [{"ORTH": "a la"}, {"ORTH": " vez"}])
    tokenizer.add_special_case("¿eh", [{ORTH: "¿e"}, {ORTH: "h"}])
    tokenizer.add_special_case("¿eh?", [{ORTH: "¿eh?"}])
    tokenizer.add_special_case("km", [{ORTH: "k"}, {ORTH: "m"}])
    tokenizer.add_special_case("～q.q. (porfa)", [{ORTH: "～q.q. (porfa)", NORM: "porfavor"}])  # the last one: its chunks stay in the cache
    tokenizer.token_match = spacy.util.compile_prefix_regex([r"\d+-\d+", r"#\w+\b", r"\(c\)$"]).match
    tokenizer.infix_finditer = spacy.util.compile_infix_regex(["(?<=[a-z])(?=[A-Z])", "[-–~]", r"\.\.+", "(?:[,:])x?"]).finditer
    tokenizer.prefix_search = spacy.util.re.compile(r"^(?P<a>[\[(\"'¿¡])|^\$+?(?=\d)|(?<!\S)x{2,3}|\Bq").search  # not all at the front
    odd.vocab.lookups.add_table("lexeme_norm", {"casa": "hogar", "€": "eur", "Sr.": "señor", "a la": "juntos", "X": "equis"})
    yield "odd", odd
    bare = spacy.blank("fi")
    for part in ("prefix_search", "suffix_search", "token_match", "url_match"):
        setattr(bare.tokenizer, part, None)
    bare.tokenizer.infix_finditer = spacy.util.compile_infix_regex(["-"]).finditer
    bare.tokenizer.faster_heuristics = False
    bare.tokenizer.rules = {"uno dos": [{ORTH: "uno"}, {ORTH: " dos"}], "dos": [{ORTH: "d"}, {ORTH: "os"}], "dos-": [{ORTH: "dos-"}], "dos tres": [{ORTH: "dos tres"}]}
    yield "bare", bare


def pieces_of(tokenizer):
    """What the rules are made of: characters of their patterns, and the exceptions."""
    characters = sorted({"-"} | {c for part in (tokenizer.prefix_search, tokenizer.suffix_search, tokenizer.infix_finditer) if part
                         for c in part.__self__.pattern if not c.isspace() and not 0xd800 <= ord(c) < 0xe000})
    return characters, sorted(tokenizer.rules)


def random_texts(count, tokenizer, draw):
    characters, exceptions = pieces_of(tokenizer)
    words = " ".join(SENTENCES).split()
    ranges = [(0x21, 0x7f), (0xa0, 0x250), (0x370, 0x600), (0x900, 0xe80), (0x1e00, 0x2c00), (0x3000, 0x3100), (0xff00, 0xfff0), (0x1f300, 0x1fa00)]
    for _ in range(count):
        text = ""
        for _ in range(draw.randrange(1, 10)):
            kind = draw.random()
            if kind < 0.3:
                word = draw.choice(words)
                text += draw.choice((word, word, word.upper(), word.lower(), word[::-1], word[:draw.randrange(len(word)) + 1]))
            elif kind < 0.5:
                text += draw.choice(exceptions)
            elif kind < 0.8:
                text += draw.choice(".,;:'\"()¿?-€%0123456789" + "".join(characters)) * draw.choice((1, 1, 1, 2, 3))
            else:
                text += chr(draw.randrange(*draw.choice(ranges)))
            if draw.random() < 0.35:
                text += draw.choice((" ", " ", " ", "  ", "\n", " \t", "\u00a0"))
        yield text


def fnv(words):
    value = 0xcbf29ce484222325
    for word in words:
        for byte in int(word).to_bytes(8, "little"):
            value = (value ^ byte) * 0x100000001b3 % 2**64
    return value


def row(doc):
    ids = fnv(doc.to_array(ATTRIBUTES).ravel()) if len(doc) else fnv([])
    return {"text": doc.text, "tokens": [token.text for token in doc], "spaces": "".join(str(int(bool(token.whitespace_))) for token in doc), "ids": str(ids)}


def code_points(vocab_of):
    """A line for each 1,024 code points: the first one, the hash of the ids (without SPACY) of each as a word, and that of each between letters and
    digits. Lines of code points that mean nothing to Unicode are left out, but for one."""
    empty = None
    for block in range(0, 0x110000, 1024):
        if 0xd800 <= block < 0xe000:
            continue
        vocab = vocab_of()
        hashes = []
        for form in ("{}", "aΣ{}1Xǅ"):
            lexemes = [vocab[form.format(chr(c))] for c in range(block, block + 1024)]
            hashes.append(fnv(value for lexeme in lexemes for value in (lexeme.orth, lexeme.norm, lexeme.lower, lexeme.prefix, lexeme.suffix, lexeme.shape, lexeme.is_space)))
        yield f"{block:x} {hashes[0]:x} {hashes[1]:x}"


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    for name, nlp in pipelines():
        nlp.to_disk(OUT / name)
        for file in ("meta.json", "vocab/strings.json", "vocab/vectors", "vocab/vectors.cfg", "vocab/key2row"):
            (OUT / name / file).unlink()  # nothing that a tokenizer is made of
        (OUT / name / "meta.json").write_text(json.dumps({"lang": nlp.lang, "name": name, "version": "0.0.0"}) + "\n")
        shutil.move(OUT / name / "vocab/lookups.bin", OUT / name / "lookups")
        lookups = (OUT / name / "lookups").read_bytes()
        shutil.rmtree(OUT / name / "vocab")
        (OUT / name / "lookups").unlink()
        loaded = spacy.load(OUT / name)
        if lookups != b"\x80":
            (OUT / name / "vocab").mkdir()
            (OUT / name / "vocab/lookups.bin").write_bytes(lookups)
            (OUT / name / "vocab/strings.json").write_text("[]\n")
            loaded = spacy.load(OUT / name)
        draw = random.Random(name)
        texts = TEXTS + SENTENCES + sorted(loaded.tokenizer.rules)[::3] + list(random_texts(300, loaded.tokenizer, draw))
        with open(OUT / f"{name}.jsonl", "w", encoding="utf-8") as file:
            for text in texts:
                file.write(json.dumps(row(loaded.tokenizer(text)), ensure_ascii=True, separators=(",", ":")) + "\n")
    (OUT / "code_points.txt").write_text("".join(line + "\n" for line in code_points(lambda: spacy.blank("es").vocab)), encoding="ascii")


main()
