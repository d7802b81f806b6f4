"""Writes metrics.json: verdicts and scikit-learn's (and scipy's) numbers for them.

    python tests/golden/metrics.py        made with scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6
"""

import json
import pathlib

import numpy as np
from scipy.stats import binomtest
from sklearn import metrics


def calibration_error(truth, p, bins=15):
    """Guo et al. 2017: bins (i/15, (i+1)/15] of the verdict's probability."""
    confidence = p.max(1).astype(np.float64)
    right = p.argmax(1) == truth
    total = 0.0
    for i in range(bins):
        inside = (confidence > i / bins) & (confidence <= (i + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def case(name, classes, texts, seed, skill, absent=(), sharp=1.0):
    rng = np.random.default_rng(seed)
    present = [k for k in range(classes) if k not in absent]
    truth = rng.choice(present, texts)
    logits = rng.normal(size=(texts, classes)) * sharp
    logits[np.arange(texts), truth] += skill
    logits[:, list(absent)] -= 50
    p = np.exp(logits - logits.max(1, keepdims=True))
    p = (p / p.sum(1, keepdims=True)).round(5).astype(np.float32)
    verdict = p.argmax(1)
    average = {
        a: metrics.precision_recall_fscore_support(truth, verdict, average=a, zero_division=0)[:3]
        for a in ("macro", "micro", "weighted")
    }
    every = metrics.precision_recall_fscore_support(truth, verdict, labels=range(classes), zero_division=0)
    interval = binomtest(int((truth == verdict).sum()), texts).proportion_ci(0.95, "wilson")
    return {
        "name": name,
        "classes": classes,
        "truth": truth.tolist(),
        "probabilities": [round(float(x), 5) for x in p.ravel()],
        "accuracy": metrics.accuracy_score(truth, verdict),
        "interval": [interval.low, interval.high],
        "average": {a: list(map(float, v)) for a, v in average.items()},
        "precision": every[0].tolist(),
        "recall": every[1].tolist(),
        "f1": every[2].tolist(),
        "support": every[3].tolist(),
        "confusion": metrics.confusion_matrix(truth, verdict, labels=range(classes)).ravel().tolist(),
        "log_loss": float(metrics.log_loss(truth, p, labels=range(classes))),
        "calibration_error": float(calibration_error(truth, p)),
    }


cases = [
    case("two classes", 2, 25, 1, 0.5),
    case("five classes", 5, 60, 2, 1.5),
    case("twelve, two absent", 12, 40, 3, 2.0, absent=(4, 11)),
    case("always right", 3, 12, 4, 60.0),
    case("hardly ever right, sure of it", 4, 30, 5, -3.0, sharp=8.0),
    case("one text", 3, 1, 6, 1.0),
]
out = pathlib.Path(__file__).with_name("metrics.json")
out.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
