"""Tiny BERT and DistilBERT classifiers as transformers writes them, and the logits that it computes from texts, for
tests/train/bert_classifier_test.cpp and tests/tools: hf/{bert,distilbert}/ and hf/{bert,distilbert}.json.

Logits are computed in f64. `head` is the pipeline's truncation, `windows` the mean over the tokenizer's overflowing
sequences. Run with torch and transformers; the versions are in the json."""

import json
import pathlib
import random

import torch
import transformers

HERE = pathlib.Path(__file__).parent / "hf"
MAX_LENGTH, STRIDE = 24, 6
LABELS = ["contrato", "ley", "resolución"]
WORDS = "el la de que y en un ser se no haber por con su para como estar tener le lo norma ley artículo acta".split()


def vocabulary():
    letters = "abcdefghijklmnopqrstuvwxyzáéíóúñ"
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return specials + list(".,;:()0123456789") + list(letters) + ["##" + c for c in letters + "0123456789"] + [w for w in WORDS if len(w) > 1]


def texts(rng):
    made = ["", "La norma.", "El artículo 5 de la ley; el acta [SEP] no", "palabra " * 30]
    for length in (3, 7, 15, 21, 22, 23, 40, 80):
        made.append(" ".join(rng.choice(WORDS) for _ in range(length)))
    return made


def write_model(model, tokenizer, name, rng):
    folder = HERE / name
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary()) + "\n")
    model = model.double().eval()

    def logits(**encoding):
        with torch.no_grad():
            return model(**{k: v for k, v in encoding.items() if k in ("input_ids", "attention_mask")}).logits

    cases = []
    for text in texts(rng):
        # What documents say is never a special token.
        safe = dict(return_tensors="pt", truncation=True, max_length=MAX_LENGTH, split_special_tokens=True)
        head = logits(**tokenizer(text, **safe))[0]
        windows = logits(**tokenizer(text, **safe, stride=STRIDE, return_overflowing_tokens=True, padding=True)).mean(0)
        cases.append({"text": text, "head": head.tolist(), "windows": windows.tolist()})
    out = {"versions": {"torch": torch.__version__, "transformers": transformers.__version__}, "labels": LABELS,
           "max_length": MAX_LENGTH, "stride": STRIDE, "cases": cases}
    (HERE / f"{name}.json").write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n")


def main():
    rng = random.Random(1)
    torch.manual_seed(1)
    HERE.mkdir(exist_ok=True)
    (HERE / "vocab.txt").write_text("\n".join(vocabulary()) + "\n")
    tokenizer = transformers.BertTokenizerFast(str(HERE / "vocab.txt"), do_lower_case=True, strip_accents=False, model_max_length=MAX_LENGTH)
    (HERE / "vocab.txt").unlink()
    ids = {i: label for i, label in enumerate(LABELS)}
    common = dict(vocab_size=len(vocabulary()), max_position_embeddings=32, id2label=ids, label2id={v: k for k, v in ids.items()},
                  initializer_range=0.4, problem_type="single_label_classification")
    bert = transformers.BertConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, **common)
    write_model(transformers.BertForSequenceClassification(bert), tokenizer, "bert", rng)
    distil = transformers.DistilBertConfig(dim=24, n_layers=2, n_heads=3, hidden_dim=40, **common)
    write_model(transformers.DistilBertForSequenceClassification(distil), tokenizer, "distilbert", rng)


if __name__ == "__main__":
    main()
