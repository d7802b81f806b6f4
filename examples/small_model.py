#!/usr/bin/env python3
"""Makes the folder of a small BERT without weights, for `aid train --from-scratch` where no pretrained model can be had:
config.json, and a WordPiece vocabulary of the commonest words of the given texts with all their characters as pieces.

Example: examples/small_model.py .demo/data/clasificacion/text_model/data_v1/text_dataset/train .demo/small
"""
import argparse
import collections
import json
import pathlib
import re

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CONFIG = {
    "architectures": ["BertForMaskedLM"], "model_type": "bert", "hidden_size": 256, "num_hidden_layers": 4,
    "num_attention_heads": 8, "intermediate_size": 1024, "hidden_act": "gelu", "max_position_embeddings": 512,
    "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
    "initializer_range": 0.02, "pad_token_id": 0,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=pathlib.Path, help="folder, read with all that is below it")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--words", type=int, default=8000)
    arguments = parser.parse_args()
    words = collections.Counter()
    for file in sorted(arguments.texts.rglob("*.txt")):
        words.update(re.findall(r"\w+|[^\w\s]", file.read_text(encoding="utf-8").lower()))
    characters = sorted({character for word in words for character in word})
    pieces = characters + ["##" + character for character in characters]
    common = [word for word, _ in words.most_common(arguments.words) if len(word) > 1]
    vocabulary = SPECIAL + pieces + common
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    (arguments.out / "config.json").write_text(json.dumps(CONFIG | {"vocab_size": len(vocabulary)}, indent=1) + "\n")
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "strip_accents": False, "model_max_length": 512}
    (arguments.out / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=1) + "\n")


if __name__ == "__main__":
    main()
