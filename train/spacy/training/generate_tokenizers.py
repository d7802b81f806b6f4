#!/usr/bin/env python3
"""Writes tokenizers.inc: the file `tokenizer` of spaCy's blank pipelines, byte by byte.

    pip install spacy && python3 train/spacy/training/generate_tokenizers.py > train/spacy/training/tokenizers.inc
"""
import spacy

LANGUAGES = ["es", "xx"]
COLUMNS = 118


def literals(data):
    """C++ string literals of at most a line each; an escape never runs into the character after it."""
    line = ""
    for byte in data:
        character = chr(byte)
        plain = 32 <= byte < 127 and character not in '"\\?'
        piece = character if plain else f"\\{byte:03o}"
        if len(line) + len(piece) > COLUMNS - 2:
            yield f'"{line}"'
            line = ""
        line += piece
    yield f'"{line}"'


def main():
    print(f"// By generate_tokenizers.py, from spaCy {spacy.__version__}.")
    print("// clang-format off")
    for language in LANGUAGES:
        data = spacy.blank(language).tokenizer.to_bytes(exclude=["vocab"])
        print(f'{{"{language}", {len(data)},')
        print("\n".join(literals(data)) + "},")


if __name__ == "__main__":
    main()
