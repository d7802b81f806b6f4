"""`aid eval` on a random model and random folders of texts, against scikit-learn's own metrics of the verdicts that
`aid predict` gives for the same files: equal to the last digits of a float64.

    python tests/peers/scikit_learn_metrics.py [BUILD_FOLDER]      # with the program aid; build/release
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
import transformers
from sklearn import metrics

ROOT = pathlib.Path(__file__).parents[2]
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/release").resolve()
LABELS = ["acta", "contrato", "escritura", "informe", "ley"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Scores are printed as the shortest decimals that give the same f32 back; both sides then sum them in f64.
TOLERANCE = 1e-6


def write_model(folder, seed):
    transformers.set_seed(seed)
    ids = dict(enumerate(LABELS))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *("##" + letter for letter in LETTERS)]
    config = transformers.BertConfig(vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                                     intermediate_size=64, max_position_embeddings=64, initializer_range=0.5, id2label=ids,
                                     label2id={label: i for i, label in ids.items()})
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 64}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))


def write_texts(folder, rng, labels, count):
    for i in range(count):
        label = rng.choice(labels)
        (folder / label).mkdir(parents=True, exist_ok=True)
        words = ["".join(rng.choices(LETTERS, k=rng.randint(1, 8))) for _ in range(rng.randint(1, 60))]
        (folder / label / f"{i:04}.txt").write_text(" ".join(words))


def aid(*arguments):
    return subprocess.run([BUILD / "aid", *map(str, arguments), "--quiet", "--precision", "f32"], check=True, capture_output=True,
                          text=True).stdout


def check(model, folder, report):
    truth, verdicts, probabilities = [], [], []
    for line in aid("predict", model, folder).splitlines():
        verdict = json.loads(line)
        truth.append(pathlib.Path(verdict["file"]).parent.name)
        verdicts.append(verdict["label"])
        probabilities.append([verdict["scores"][label] for label in LABELS])
    aid("eval", model, folder, "--json", report)
    ours = json.loads(report.read_text())["metrics"]
    rows = torch.tensor(probabilities, dtype=torch.float64)
    rows /= rows.sum(1, keepdim=True)  # f32 probabilities add up to 1 within 1e-7; scikit-learn warns of that
    expected = {"accuracy": metrics.accuracy_score(truth, verdicts),
                "log_loss": metrics.log_loss(truth, rows.numpy(), labels=LABELS)}
    for average in ("macro", "micro", "weighted"):
        scores = metrics.precision_recall_fscore_support(truth, verdicts, average=average, zero_division=0)
        expected |= {f"{average}.{name}": score for name, score in zip(("precision", "recall", "f1"), scores)}
    for name, value in expected.items():
        own = ours
        for part in name.split("."):
            own = own[part]
        assert abs(own - value) < TOLERANCE, f"{name}: aid {own}, scikit-learn {value}, on {len(truth)} texts"
    matrix = metrics.confusion_matrix(truth, verdicts, labels=LABELS).tolist()
    assert ours["confusion"] == matrix, f"{ours['confusion_matrix']} != {matrix}"


def main():
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as temporary:
        for case in range(8):
            folder = pathlib.Path(temporary, str(case))
            (folder / "model").mkdir(parents=True)
            write_model(folder / "model", case)
            write_texts(folder / "texts", rng, LABELS[: 2 + case % 4], 40 + 30 * case)
            check(folder / "model", folder / "texts", folder / "report.json")
    print("8 evaluations equal scikit-learn's")


if __name__ == "__main__":
    main()
