"""Writes trainer/: a tiny BERT directory, texts as ids, and what transformers' Trainer logs on them.

    python tests/golden/trainer.py        made with transformers 5.23.0, torch 2.15.0, accelerate 1.15.0

A step takes all texts at once, so their order does not matter; dropout is off. f32 on the CPU.
"""

import json
import pathlib
import shutil
import tempfile

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

OUT = pathlib.Path(__file__).with_name("trainer")
TEXTS, CLASSES, VOCABULARY, POSITIONS = 12, 3, 31, 19

torch.manual_seed(0)
model = BertForSequenceClassification(BertConfig(
    vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
    max_position_embeddings=POSITIONS, pad_token_id=1, num_labels=CLASSES, hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0, initializer_range=0.2))
shutil.rmtree(OUT, ignore_errors=True)
model.save_pretrained(OUT)

ids = [[4] + torch.randint(6, VOCABULARY, (int(torch.randint(1, POSITIONS - 2, ())),)).tolist() + [5] for _ in range(TEXTS)]
labels = [i % CLASSES for i in range(TEXTS)]


def collate(rows):
    longest = max(len(r["input_ids"]) for r in rows)
    return {
        "input_ids": torch.tensor([r["input_ids"] + [1] * (longest - len(r["input_ids"])) for r in rows]),
        "attention_mask": torch.tensor([[1] * len(r["input_ids"]) + [0] * (longest - len(r["input_ids"])) for r in rows]),
        "labels": torch.tensor([r["labels"] for r in rows]),
    }


RUNS = {
    # The loss falls fast enough for clipping to act in some steps and not in others.
    "linear": dict(lr=5e-3, schedule="linear", warmup_steps=3, weight_decay=0.1, max_grad_norm=2.0, label_smoothing=0.1),
    "cosine": dict(lr=2e-3, schedule="cosine", warmup_steps=1, weight_decay=0.0, max_grad_norm=0.5, label_smoothing=0.0),
}


def run(lr, schedule, warmup_steps, weight_decay, max_grad_norm, label_smoothing):
    fresh = BertForSequenceClassification.from_pretrained(OUT)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=fresh,
            args=TrainingArguments(
                output_dir=folder, num_train_epochs=10, per_device_train_batch_size=TEXTS, learning_rate=lr,
                lr_scheduler_type=schedule, warmup_steps=warmup_steps, weight_decay=weight_decay,
                max_grad_norm=max_grad_norm, label_smoothing_factor=label_smoothing, logging_steps=1, save_strategy="no",
                report_to=[], use_cpu=True, disable_tqdm=True, remove_unused_columns=False),
            train_dataset=[{"input_ids": i, "labels": l} for i, l in zip(ids, labels)], data_collator=collate)
        trainer.train()
        steps = [h for h in trainer.state.log_history if "loss" in h]
    return {"options": dict(lr=lr, schedule=schedule, warmup_steps=warmup_steps, weight_decay=weight_decay,
                            max_grad_norm=max_grad_norm, label_smoothing=label_smoothing),
            "loss": [h["loss"] for h in steps], "grad_norm": [float(h["grad_norm"]) for h in steps],
            "lr": [h["learning_rate"] for h in steps]}


golden = {"ids": ids, "labels": labels, "runs": {name: run(**options) for name, options in RUNS.items()}}
(OUT / "golden.json").write_text(json.dumps(golden) + "\n")
