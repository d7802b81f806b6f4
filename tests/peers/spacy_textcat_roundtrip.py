"""spaCy trains a text categorizer, aid predicts with it; aid trains one, of each architecture, spaCy predicts with it and
trains it further: the same scores, in both directions.

    python tests/peers/spacy_textcat_roundtrip.py [BUILD_FOLDER]      # with the program aid; build/release
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import spacy
from spacy.training import Example

ROOT = pathlib.Path(__file__).parents[2]
AID = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/release").resolve() / "aid"
GOLDEN = ROOT / "tests/golden/spacy_training"
DOCUMENTS = json.loads((GOLDEN / "training.json").read_text())["documents"]
TOLERANCE = 2e-5  # of a score: f32 sums in another order


def aid(*arguments):
    done = subprocess.run([AID, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, f"aid {' '.join(map(str, arguments))}\n{done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def write(folder):
    for part, documents in DOCUMENTS.items():
        for number, (label, text) in enumerate(documents):
            file = folder / part / label / f"{number:03}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


def same_scores(pipeline, folder):
    nlp = spacy.load(pipeline)
    worst = 0.0
    for verdict in aid("predict", pipeline, folder, "--quiet"):
        cats = nlp(pathlib.Path(verdict["file"]).read_text()).cats
        assert list(verdict["scores"]) == list(cats)
        worst = max(worst, max(abs(verdict["scores"][label] - cats[label]) for label in cats))
    assert worst < TOLERANCE, f"{pipeline}: scores differ by {worst}"
    return nlp, worst


def by_spacy(folder, pipeline):
    nlp = spacy.blank("es")
    nlp.add_pipe("textcat")
    labels = sorted({label for label, _ in DOCUMENTS["train"]})
    examples = [Example.from_dict(nlp.make_doc(text), {"cats": {one: float(one == label) for one in labels}})
                for label, text in DOCUMENTS["train"]]
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(3):
        random.Random(0).shuffle(examples)
        nlp.update(examples, sgd=optimizer, drop=0.2)
    nlp.to_disk(pipeline)


def trains_further(nlp):
    label, text = DOCUMENTS["train"][0]
    example = Example.from_dict(nlp.make_doc(text), {"cats": {one: float(one == label) for one in nlp.get_pipe("textcat").labels}})
    before = nlp(text).cats[label]
    for _ in range(5):
        nlp.update([example], sgd=nlp.resume_training())
    assert nlp(text).cats[label] > before


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        write(folder)
        by_spacy(folder, folder / "spacy")
        print(f"trained by spaCy: {same_scores(folder / 'spacy', folder / 'dev')[1]:.1e}")
        for config in sorted(GOLDEN.glob("*/config.cfg")):
            pipeline = folder / config.parent.name
            aid("train", "textcat", "--train", folder / "train", "--val", folder / "dev", "--out", pipeline, "--config", config,
                "--dropout", 0.1, "--max-steps", 30, "--quiet")
            nlp, worst = same_scores(pipeline, folder / "dev")
            if config.parent.name in ("bag", "ensemble", "reduce"):
                trains_further(nlp)
            print(f"trained by aid, {config.parent.name}: {worst:.1e}")
        aid("train", "textcat", "--train", folder / "train", "--val", folder / "dev", "--out", folder / "again", "--model",
            folder / "spacy", "--max-steps", 5, "--quiet")
        print(f"begun by spaCy, trained further by aid: {same_scores(folder / 'again', folder / 'dev')[1]:.1e}")


if __name__ == "__main__":
    main()
