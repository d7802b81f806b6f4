"""Writes statistics.json: intervals and p-values by scipy, and Newcombe's paired interval by the paper's formulas.

    python tests/golden/statistics.py        made with scipy 1.17.1

Newcombe's published example (36, 12, 2, 0) must give (0.0569, 0.3404), as in table III of the paper.
"""

import json
import math
import pathlib

from scipy.stats import binomtest


def wilson(k, n):
    interval = binomtest(k, n).proportion_ci(confidence_level=0.95, method="wilson")
    return [float(interval.low), float(interval.high)]


def newcombe(both, new, old, neither):
    """Method 10 of Newcombe 1998, Statistics in Medicine 17:2635."""
    e, f, g, h = both, new, old, neither
    n = e + f + g + h
    theta = (f - g) / n
    (l2, u2), (l3, u3) = wilson(e + f, n), wilson(e + g, n)
    dl2, du2 = (e + f) / n - l2, u2 - (e + f) / n
    dl3, du3 = (e + g) / n - l3, u3 - (e + g) / n
    product = (e + f) * (g + h) * (e + g) * (f + h)
    c = e * h - f * g
    c = c - n / 2 if c > n / 2 else 0 if c >= 0 else c
    phi = c / math.sqrt(product) if product else 0
    delta = math.sqrt(max(0, dl2**2 - 2 * phi * dl2 * du3 + du3**2))
    epsilon = math.sqrt(max(0, du2**2 - 2 * phi * du2 * dl3 + dl3**2))
    return [theta - delta, theta + epsilon]


low, high = newcombe(36, 12, 2, 0)
assert (round(low, 4), round(high, 4)) == (0.0569, 0.3404), (low, high)
counts = [(0, 1), (1, 1), (0, 7), (7, 7), (1, 3), (8, 10), (97, 100), (1047, 1076), (50_000, 100_000)]
pairs = [(0, 0), (0, 1), (3, 1), (5, 5), (10, 0), (2, 17), (40, 25), (300, 250), (1000, 1500)]
tables = [(36, 12, 2, 0), (5, 3, 1, 1), (100, 0, 0, 0), (0, 0, 0, 9), (0, 4, 9, 2), (900, 40, 30, 30), (50, 20, 20, 10), (3, 0, 4, 3)]
result = {
    "wilson": [[k, n, *wilson(k, n)] for k, n in counts],
    "mcnemar": [[a, b, float(binomtest(a, a + b).pvalue) if a + b else 1.0] for a, b in pairs],
    "newcombe": [[*table, *newcombe(*table)] for table in tables],
}
text = "{\n" + ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in result.items()) + "\n}\n"
pathlib.Path(__file__).with_name("statistics.json").write_text(text)
