#!/usr/bin/env python3
"""The line that a text model has to pass to be worth its cost: TF-IDF with logistic regression (scikit-learn), trained on a data
version's train folder and scored on its ground truth.

Example: examples/tfidf_baseline.py .demo/data/clasificacion/text_model/data_v1
"""
import argparse
import pathlib

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score


def read(folder):
    files = sorted(folder.glob("*/*.txt"))
    return [file.read_text(encoding="utf-8") for file in files], [file.parent.name for file in files]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path, help="folder data_v{N}")
    arguments = parser.parse_args()
    texts, labels = read(arguments.data / "text_dataset/train")
    truth_texts, truth = read(arguments.data / "ground_truth/muestras")
    features = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    model = LogisticRegression(C=30, max_iter=1000)
    model.fit(features.fit_transform(texts), labels)
    verdicts = model.predict(features.transform(truth_texts))
    print(f"TF-IDF + logistic regression: accuracy {accuracy_score(truth, verdicts):.3f}, "
          f"macro F1 {f1_score(truth, verdicts, average='macro'):.3f} on {len(truth)} texts")


if __name__ == "__main__":
    main()
