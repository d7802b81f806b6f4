"""transformers writes a classifier, aid predicts with it; aid trains a classifier and writes it, transformers predicts with
it: the same ids and the same probabilities, in both directions.

    python tests/peers/transformers_roundtrip.py [BUILD_FOLDER]      # with the program aid; build/release
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
import transformers

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "build/release").resolve()
WORDS = "norma ley artículo acta contrato resolución el la de que y en un ser se no haber por con su para como".split()
LABELS = ["acta", "contrato", "ley", "resolución"]
TOLERANCE = 2e-5  # of a probability: f32 sums in another order


def vocabulary():
    letters = "abcdefghijklmnopqrstuvwxyzáéíóúñ.,;:0123456789"
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + WORDS + [c for c in letters if c not in WORDS] + ["##" + c for c in letters]


def texts(rng, count):
    return [" ".join(rng.choice(WORDS) for _ in range(rng.choice([1, 5, 20, 60, 90]))) + rng.choice(["", ".", " Nº 5; ¿sí?"])
            for _ in range(count)]


def aid(*arguments):
    done = subprocess.run([BUILD / "aid", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, f"aid {' '.join(map(str, arguments))}\n{done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def same_verdicts(folder, documents, max_length):
    """aid predict and aid tokenize against transformers, on every document."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    names = sorted(documents.glob("*.txt"))
    verdicts = aid("predict", folder, documents, "--precision", "f32", "--quiet")
    assert [v["file"] for v in verdicts] == [str(n) for n in names]
    worst = 0.0
    for name, verdict in zip(names, verdicts):
        encoding = tokenizer(name.read_text(), truncation=True, max_length=max_length, return_tensors="pt")
        with torch.no_grad():
            expected = model(**encoding).logits.softmax(-1)[0].tolist()
        assert list(verdict["scores"]) == [model.config.id2label[i] for i in range(len(expected))]
        worst = max(worst, max(abs(a - b) for a, b in zip(verdict["scores"].values(), expected)))
    assert worst < TOLERANCE, f"{folder}: probabilities differ by {worst}"
    lines = documents / "lines.jsonl"
    lines.write_text("".join(json.dumps({"text": n.read_text()}) + "\n" for n in names))
    for name, line in zip(names, aid("tokenize", folder, lines, "--jsonl")):
        assert line["ids"] == tokenizer(name.read_text())["input_ids"], name
    return worst


def sizes(distil, **more):
    ids = dict(enumerate(LABELS))
    common = dict(vocab_size=len(vocabulary()), max_position_embeddings=64, initializer_range=0.3, id2label=ids,
                  label2id={v: k for k, v in ids.items()}, **more)
    if distil:
        return transformers.DistilBertConfig(dim=48, n_layers=2, n_heads=4, hidden_dim=100, **common)
    return transformers.BertConfig(hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=100, **common)


def tokenizer_in(folder, **options):
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(vocabulary()) + "\n")
    tokenizer = transformers.BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64, **options)
    tokenizer.save_pretrained(folder)


# What transformers may write: (name, config, how the weights are stored).
VARIANTS = [
    ("bert", lambda: sizes(False), "safetensors"),
    ("distilbert", lambda: sizes(True), "safetensors"),
    ("bert gelu_new, eps 1e-5, no padding row", lambda: sizes(False, hidden_act="gelu_new", layer_norm_eps=1e-5, pad_token_id=None), "safetensors"),
    ("bert relu, padding row 1", lambda: sizes(False, hidden_act="relu", pad_token_id=1), "sharded"),
    ("distilbert relu, sinusoidal", lambda: sizes(True, activation="relu", sinusoidal_pos_embds=True), "pytorch_model.bin"),
    ("bert in f16", lambda: sizes(False), "f16"),
    ("distilbert in bf16", lambda: sizes(True), "bf16"),
]


def theirs_to_ours(work, documents):
    for number, (name, config, stored) in enumerate(VARIANTS):
        torch.manual_seed(number)
        model = transformers.AutoModelForSequenceClassification.from_config(config())
        folder = work / f"theirs{number}"
        tokenizer_in(folder, do_lower_case=number % 2 == 0, strip_accents=[None, False, True][number % 3])
        if stored in ("f16", "bf16"):
            model = model.to({"f16": torch.float16, "bf16": torch.bfloat16}[stored])
        model.save_pretrained(folder, max_shard_size="20KB" if stored == "sharded" else "1GB")
        if stored == "pytorch_model.bin":
            (folder / "model.safetensors").unlink()
            torch.save(model.state_dict(), folder / "pytorch_model.bin")
        print(f"transformers -> aid, {name} ({stored}): within {same_verdicts(folder, documents, 64):.1e}")


def ours_to_theirs(work, documents, rng):
    data = work / "data"
    for label in LABELS:
        for part, count in (("train", 6), ("val", 2)):
            (data / part / label).mkdir(parents=True)
            for i, text in enumerate(texts(rng, count)):
                (data / part / label / f"{i}.txt").write_text(f"{label} {text}")
    for kind, distil, pretrained in (("beto", False, transformers.BertForMaskedLM), ("distilbeto", True, transformers.DistilBertForMaskedLM)):
        start, out = work / f"{kind}-start", work / kind
        tokenizer_in(start, do_lower_case=True, strip_accents=False)
        pretrained(sizes(distil)).save_pretrained(start)  # without pooler and head, as BETO comes
        aid("train", kind, "--model", start, "--train", data / "train", "--val", data / "val", "--out", out, "--epochs", 2,
            "--lr", "1e-3", "--batch-size", 4, "--max-length", 64, "--precision", "f32", "--quiet")
        assert sorted(transformers.AutoConfig.from_pretrained(out).id2label.values()) == LABELS
        print(f"aid -> transformers, {kind}: within {same_verdicts(out, documents, 64):.1e}")


def main():
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        documents = work / "documents"
        documents.mkdir()
        for i, text in enumerate(texts(rng, 40)):
            (documents / f"{i:03}.txt").write_text(text)
        theirs_to_ours(work, documents)
        ours_to_theirs(work, documents, rng)


if __name__ == "__main__":
    main()
