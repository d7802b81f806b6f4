#!/usr/bin/env python3
"""Times the tokenizer of a spaCy pipeline, and its text categorizer where there is one, against spaCy's in one run, in turns, and checks that
every document gets the same tokens, ids and scores.

    ./dev compare spacy PIPELINE TEXTS [--train DATA] [--json FILE]

PIPELINE is a folder that spacy.load() takes, TEXTS a folder of .txt files. DATA has train/ and val/, a folder of texts for each label:
PIPELINE's config.cfg is then trained on them, some steps. Prints {work, peer, ratio, bar, ours_ms, peer_ms} for each work:
ratio is the median of the pairs' ratios, a pair being one pass of the peer beside one of ours; above 1, ours is faster.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy
import spacy
from paired import ROOT, Worker, compare, report, timed_ms
from spacy.tokens import DocBin
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from spacy.util import load_config

TEXTCATS = ("textcat", "textcat_multilabel")
# Long sums of f32 in another order.
SCORE_TOLERANCE = 1e-4
STEPS = 100
AID = ROOT / "build/release/aid"
ATTRIBUTES = ["ORTH", "NORM", "LOWER", "PREFIX", "SUFFIX", "SHAPE", "SPACY", "IS_SPACE"]


def documents(file):
    """The ids that spacy_folder wrote, one array a text."""
    flat, at = numpy.fromfile(file, dtype="<u8"), 0
    while at < len(flat):
        count = int(flat[at]) * len(ATTRIBUTES)
        yield flat[at + 1:at + 1 + count].reshape(-1, len(ATTRIBUTES))
        at += 1 + count


def compare_textcat(nlp, pipeline, files, texts, folder):
    """Works of the whole pipeline, and the files whose scores differ. Ours reads the files, too."""
    labels = nlp.get_pipe(next(name for name, factory in nlp.pipe_factories.items() if factory in TEXTCATS)).labels
    ours = Worker("textcat_folder", pipeline, folder / "files", folder / "scores")
    expected = numpy.array([[doc.cats[label] for label in labels] for doc in nlp.pipe(texts)])
    found = numpy.fromfile(folder / "scores", dtype="<f4").reshape(expected.shape)
    differences = abs(found - expected).max(axis=1)
    print(f"scores differ by {differences.max():.1e} at most", file=sys.stderr)
    cores = len(os.sched_getaffinity(0))

    def pipe(**options):
        return timed_ms(lambda: [doc.cats for doc in nlp.pipe(texts, **options)])

    works = [
        compare("textcat, 1 thread", "spaCy nlp.pipe", 5.0, lambda: ours.ms("one"), pipe, pairs=5),
        compare(f"textcat, {cores} threads", f"spaCy nlp.pipe, {cores} processes", 5.0, lambda: ours.ms("all"), lambda: pipe(n_process=cores), pairs=5),
    ]
    return works, [str(file) for file, difference in zip(files, differences) if difference > SCORE_TOLERANCE]


def compare_training(pipeline, data, folder):
    """One training each, whole: of ours the process, of spaCy's the corpus' reading, the first weights and the loop."""
    labels = sorted(path.name for path in (data / "train").iterdir() if path.is_dir())
    blank = spacy.blank("es")
    for part in ("train", "val"):
        collection = DocBin()
        for label in labels:
            for file in sorted((data / part / label).glob("*.txt")):
                doc = blank.make_doc(file.read_text(encoding="utf-8", errors="replace"))
                doc.cats = {one: float(one == label) for one in labels}
                collection.add(doc)
        collection.to_disk(folder / f"{part}.spacy")

    def ours():
        return timed_ms(lambda: subprocess.run(
            [AID, "train", "textcat", "--train", folder / "train.spacy", "--val", folder / "val.spacy", "--out", folder / "ours",
             "--config", pipeline / "config.cfg", "--max-steps", str(STEPS), "--eval-every", str(STEPS), "--overwrite", "--quiet"],
            check=True, stdout=subprocess.DEVNULL))

    def theirs():
        config = load_config(pipeline / "config.cfg", overrides={
            "paths.train": str(folder / "train.spacy"), "paths.dev": str(folder / "val.spacy"), "training.max_steps": STEPS,
            "training.eval_frequency": STEPS})
        (folder / "theirs").mkdir(exist_ok=True)
        return timed_ms(lambda: train(init_nlp(config), folder / "theirs", stdout=open(os.devnull, "w")))

    return compare(f"train textcat, {STEPS} steps", "spaCy train", 5.0, ours, theirs, pairs=1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pipeline", type=pathlib.Path)
    parser.add_argument("texts", type=pathlib.Path)
    parser.add_argument("--train", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    files = sorted(options.texts.rglob("*.txt"))
    texts = [file.read_bytes().decode("utf-8", errors="replace") for file in files]
    nlp = spacy.load(options.pipeline)
    theirs = nlp.tokenizer

    def tokenize(tokenizer):
        return timed_ms(lambda: [len(doc) for doc in tokenizer.pipe(texts)])

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "files").write_text("".join(f"{file}\n" for file in files))
        ours = Worker("spacy_folder", options.pipeline, folder / "files", folder / "ids")
        expected = [doc.to_array(ATTRIBUTES) for doc in theirs.pipe(texts)]
        differing = [str(file) for file, a, b in zip(files, documents(folder / "ids"), expected) if not numpy.array_equal(a, b)]
        result = [
            compare("tokenize, 1 thread", "spaCy tokenizer.pipe", 5.0, lambda: ours.ms("tokens"), lambda: tokenize(theirs)),
            compare("tokenize, 1 thread, nothing cached", "spaCy tokenizer.pipe", 5.0, lambda: ours.ms("cold"),
                    lambda: tokenize(spacy.load(options.pipeline).tokenizer), pairs=3),
        ]
        if set(TEXTCATS) & set(nlp.pipe_factories.values()):
            works, differing_scores = compare_textcat(nlp, options.pipeline, files, texts, folder)
            result += works
            differing += differing_scores
        if options.train:
            result.append(compare_training(options.pipeline, options.train, folder))
    tokens = sum(map(len, expected))
    print(f"{len(files)} files, {tokens} tokens; {tokens / result[0]['ours_ms'] / 1000:.1f} million tokens/s; "
          f"{len(files) - len(differing)} of {len(files)} files have the tokens, ids and scores of spaCy", file=sys.stderr)
    return report(result, options.json, differing)


sys.exit(main())
