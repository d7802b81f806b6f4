"""Writes workflow.json: truths, predictions and the numbers that scikit-learn and scipy give for them.

    python tests/golden/workflow.py        made with scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6

A file without a prediction is a class of its own for scikit-learn, "", that is in no list of labels.
"""

import json
import pathlib
import warnings

import numpy as np
from scipy.stats import binomtest
from sklearn import metrics

warnings.filterwarnings("ignore")  # scikit-learn's, of classes that occur on one side only


def report(truth, predicted):
    labels = sorted({*truth, *predicted} - {""}, key=lambda label: label.encode())
    every = metrics.precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    average = {
        a: metrics.precision_recall_fscore_support(truth, predicted, labels=labels, average=a, zero_division=0)[:3]
        for a in ("macro", "weighted")
    }
    matrix = metrics.confusion_matrix(truth, predicted, labels=[*labels, ""])[:-1]
    return {
        "labels": labels,
        "accuracy": metrics.accuracy_score(truth, predicted),
        "precision": every[0].tolist(),
        "recall": every[1].tolist(),
        "f1": every[2].tolist(),
        "support": every[3].tolist(),
        "average": {a: list(map(float, v)) for a, v in average.items()},
        "balanced": metrics.balanced_accuracy_score(truth, predicted),
        "matthews": float(metrics.matthews_corrcoef(truth, predicted)),
        "kappa": float(metrics.cohen_kappa_score(truth, predicted)),
        "confusion": matrix.ravel().tolist(),
    }


def case(name, classes, files, seed, skill=1.5, missing=0.1, merge=2, unknown=0.0):
    rng = np.random.default_rng(seed)
    names = [f"t{k:02}" for k in range(classes)]
    unified = {n: f"u{k // merge}" for k, n in enumerate(names)}
    truth_ids = rng.integers(0, classes, files)
    logits = rng.normal(size=(files, classes)) * 1.5
    logits[np.arange(files), truth_ids] += skill
    p = np.exp(logits - logits.max(1, keepdims=True))
    p = (p / p.sum(1, keepdims=True)).round(6)
    p /= p.sum(1, keepdims=True)
    truth = [names[k] for k in truth_ids]
    predicted = [names[k] for k in p.argmax(1)]
    for i in range(files):
        if rng.random() < missing:
            predicted[i] = ""
        elif rng.random() < unknown:
            predicted[i] = "never_seen"
    u = lambda label: unified.get(label, label)
    other = [t if rng.random() < 0.5 else q for t, q in zip(truth, predicted)]
    only_new = sum(q == t != o for t, q, o in zip(truth, predicted, other))
    only_old = sum(o == t != q for t, q, o in zip(truth, predicted, other))
    result = {
        "name": name,
        "unified": unified,
        "truth": truth,
        "predicted": predicted,
        "other": other,
        "raw": report(truth, predicted),
        "merged": report([u(t) for t in truth], [u(q) for q in predicted]),
        "mcnemar": binomtest(only_new, only_new + only_old, 0.5).pvalue if only_new + only_old else 1.0,
    }
    if classes > 2:
        result["scores"] = p.tolist()
        result["log_loss"] = float(metrics.log_loss(truth, p, labels=names))
        result["brier"] = float(metrics.brier_score_loss(truth, p, labels=names))
        result["top_k"] = [
            float(metrics.top_k_accuracy_score(truth, p, k=k, labels=names)) for k in range(1, min(classes, 6))
        ]
    return result


cases = [
    case("all predicted", 4, 60, 1, missing=0),
    case("some missing", 5, 80, 2),
    case("labels that the truth lacks", 6, 60, 3, unknown=0.2),
    case("two typologies", 2, 30, 4),
    case("everything unified", 4, 40, 5, merge=9),
    case("many typologies, few files", 20, 50, 6, merge=3),
    case("one file", 3, 1, 7, missing=0),
    case("nothing predicted", 3, 12, 8, missing=1.1),
    case("hardly ever right", 5, 40, 9, skill=-3.0),
]
out = pathlib.Path(__file__).with_name("workflow.json")
out.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
