#!/usr/bin/env python3
"""Writes tests/golden/tokenizer/: what the PyPI package `tokenizers` makes of hard texts.

    pip install tokenizers && python3 tests/golden/tokenizer.py

Made with tokenizers 0.23.3. The vocabulary is cut out of the sentences below, so that nothing is anyone else's.
"""
import itertools
import json
import pathlib
import random

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

OUT = pathlib.Path(__file__).parent / "tokenizer"
SPECIAL = ["[MASK]", "[PAD]", "[UNK]", "[CLS]", "[SEP]"]
SENTENCES = """
El niño pequeño comió pan con queso en la cocina mientras su madre leía el periódico.
La resolución directoral fue publicada el miércoles 14 de enero de 2015 en el diario oficial.
¿Quién firmó el acuerdo? ¡Nadie lo sabe todavía! El secretario, quizás, o la presidenta de la comisión.
Se aprueba la modificación del reglamento de organización y funciones de la municipalidad provincial.
Los ingenieros midieron la tensión: 220 voltios, 10,5 amperios y una frecuencia de 50 hercios.
Mañana llegará el camión con las piezas que habíamos pedido hace tres semanas al almacén central.
Artículo primero. Designar al señor Núñez como responsable de la oficina de administración y logística.
El río baja crecido, las acequias rebosan y el camino hacia el pueblo está cortado desde el martes.
""".split("\n")
TEXTS = [
    "", " ", "\t\n\r", "a", "El niño pequeño", "RESOLUCIÓN DIRECTORAL Nº 1234-2015", "Los camiones (rojos) llegarán: 10,5 km",
    "cafe\u0301 y nin\u0303o", "ningu\u0301n pingüino", "vergu\u0308enza ajena", "¿Qué?¡Sí!«cita»“otra”…—fin",
    "el[SEP]niño", "[CLS]el niño[SEP]", "[MASK]ado", "a[MASK][MASK]b", "[cls] [Sep] [UNK] [unk]", "[[CLS]]", "[CLS", "CLS]", "[PAD] [PAD]",
    "el\u00a0niño\u3000come\u2028pan\u2029con\u0085queso", "el\x00ni\x01ño\x7f\x0bcome\x0cpan", "el\u200bniño\ufeffcome\u00adpan",
    "el\ufffdniño", "\u0301el", "el \u0301niño", "e\u0301\u0316l", "a\u0301\u302e\u0316b", "a\u302e\u0316b", "á\u302e\u0316b", "\u0344a", "\u0958a\u0f73b",
    "el中国niño", "中国", "中\u0301国", "\uf900a", "\U0002b81fa\U0002b820b\U0002b920c\U0002ceafd", "ひらがな カタカナ", "한국어 \u1112\u1161\u11ab각\u11a8",
    "ΑΣΣ ΟΔΟΣ", "İstanbul ISPARTA ıi", "ẞtraße ŒUVRE Ǆ ǅ", "Ⅷ Ⓐ ａＢＣ ﬁn", "niño😀pan 👩‍👩‍👧 🇵🇪", "x²+y³=z½ 10% 5€ 20° nº 3ª",
    "a" * 100, "a" * 101, "á" * 100, "á" * 101, "a\u0301" * 60, "el " + "niño" * 30 + " pan", "." * 30, "a.b,c;d:e-f_g/h\\i", "el\n\nniño\r\n\r\n\tpan  ",
    "᭄ ᮪ 𑇉 ᙭ ⸿ ꣎ ॰", "\U000e0001a\U0010fffdb\ue000c\U0001d15ed", "\u0378a\U000effffb", "ǅuro ᾈ ᾳ ﬀ ŉ ΐ ǰ", "10.5.2015 www.ejemplo.com/ruta?x=1&y=2",
]
SETTINGS = [{"lowercase": lower, "strip_accents": strip} for lower in (True, False) for strip in (None, True, False)]


def vocabulary():
    words = [w for s in SENTENCES for w in s.lower().replace(",", " ").replace(".", " ").split() if w.isalpha()]
    words += [w.capitalize() for w in words[:20]]
    letters = sorted(set("".join(words)) - set("ü") | set("0123456789"))
    pieces = ["¿", "?", "¡", "!", ",", ".", "(", ")", ":", "-", "中", "\u302e", "σ", "i\u0307"] + letters + ["##" + c for c in letters]
    pieces += ["##\u302e", "##\u0307", "##σ", "##国", "##\u11ab"] + sorted(set(words))
    pieces += sorted({"##" + w[-n:] for w in words for n in (2, 3, 4) if len(w) > n + 1} | {w[:n] for w in words for n in (3, 4, 5) if len(w) > n})
    return SPECIAL + list(dict.fromkeys(pieces))


def tokenizer(vocab, lowercase=True, strip_accents=None, special_in_text=True):
    ids = {token: i for i, token in enumerate(vocab)}
    made = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                                                        special_tokens=[(t, ids[t]) for t in ("[CLS]", "[SEP]")])
    made.add_special_tokens(SPECIAL)
    made.encode_special_tokens = not special_in_text
    return made


def random_texts(count, seed=1):
    draw = random.Random(seed)
    words = " ".join(SENTENCES).split()
    marks = [chr(c) for c in (0x300, 0x301, 0x303, 0x308, 0x316, 0x327, 0x345, 0x302e, 0x94d, 0x1d165, 0x5b0, 0x200d, 0x0, 0xad, 0xfffd)]
    ranges = [(0x20, 0x7f), (0xa0, 0x250), (0x370, 0x600), (0x900, 0xe80), (0x1100, 0x1200), (0x1e00, 0x2100), (0x3000, 0x3100),
              (0x4dff, 0x4e02), (0xac00, 0xac80), (0xf900, 0xfa00), (0xfb00, 0xfb50), (0x1d100, 0x1d200), (0x2f800, 0x2f810)]
    for _ in range(count):
        text = ""
        for _ in range(draw.randrange(1, 12)):
            kind = draw.random()
            if kind < 0.5:
                text += draw.choice(words)
            elif kind < 0.7:
                text += draw.choice(marks)
            elif kind < 0.95:
                text += chr(draw.randrange(*draw.choice(ranges)))
            else:
                text += draw.choice(SPECIAL)
            if draw.random() < 0.4:
                text += draw.choice(" \n\t\u00a0")
        yield text


def write(name, rows):
    with open(OUT / name, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=True, separators=(",", ":")) + "\n")


def code_points():
    """A line for each 1,024 code points: the first one, then for strip_accents off and on the FNV-1a hash (64 bits) of the words that each code
    point makes between two letters, a zero byte after every word."""
    normalizer = {strip: normalizers.BertNormalizer(strip_accents=strip) for strip in (False, True)}
    splitter = pre_tokenizers.BertPreTokenizer()
    for block in range(0, 0x110000, 1024):
        if 0xd800 <= block < 0xe000:
            continue
        line = f"{block:x}"
        for strip in (False, True):
            value = 0xcbf29ce484222325
            for code_point in range(block, block + 1024):
                for word, _ in splitter.pre_tokenize_str(normalizer[strip].normalize_str(f"x{chr(code_point)}x")):
                    for byte in word.encode() + b"\0":
                        value = (value ^ byte) * 0x100000001b3 % 2**64
            line += f" {value:x}"
        yield line


def main():
    OUT.mkdir(exist_ok=True)
    vocab = vocabulary()
    (OUT / "vocab.txt").write_text("".join(token + "\n" for token in vocab), encoding="utf-8")

    texts = TEXTS + SENTENCES + list(random_texts(60))
    encodings = []
    for settings in SETTINGS + [{"special_in_text": False}]:
        made = tokenizer(vocab, **settings)
        for text in texts:
            encoding = made.encode(text, add_special_tokens=False)
            encodings.append({**settings, "text": text, "ids": encoding.ids, "offsets": encoding.offsets})
    write("encodings.jsonl", encodings)
    (OUT / "tokenizer.json").write_text(tokenizer(vocab, strip_accents=False).to_str(pretty=False), encoding="utf-8")

    (OUT / "code_points.txt").write_text("".join(line + "\n" for line in code_points()), encoding="ascii")

    windows = []
    made = tokenizer(vocab, strip_accents=False)
    short, middle, long = "El pan", "Mañana llegará el camión", SENTENCES[2]
    pairs = [(a, b) for a in ("", short, middle, long) for b in (None, "", short, middle, long)]
    for (a, b), length, stride, strategy, direction in itertools.product(
            pairs, (3, 4, 8, 11, 12, 40), (0, 2), ("longest_first", "only_first", "only_second"), ("right", "left")):
        if stride >= length - 2 or (length < 11 and (stride or direction == "left") and a != long):
            continue
        made.enable_truncation(length, stride=stride, strategy=strategy, direction=direction)
        row = {"a": a, "b": b, "max_length": length, "stride": stride, "truncation": strategy, "direction": direction}
        try:
            encoding = made.encode(a, b)
            row["windows"] = [[e.ids, e.type_ids, e.offsets, e.special_tokens_mask] for e in [encoding, *encoding.overflowing]]
        except BaseException:  # a panic of the library is no Exception
            row["windows"] = None
        windows.append(row)
    write("windows.jsonl", random.Random(2).sample(windows, 240))


main()
