#!/usr/bin/env python3
"""Writes what spaCy does in training: what it draws, how it makes batches, what it scores, and small pipelines that it
trained without dropout, with their losses and scores.

    pip install spacy && python3 tests/golden/spacy_training.py
"""
import json
import pathlib
import random
import shutil
import tempfile

import numpy
import spacy
from spacy.scorer import Scorer
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.training.batchers import minibatch_by_words
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from spacy.util import load_config_from_str
from thinc.schedules import compounding

HERE = pathlib.Path(__file__).parent / "spacy_training"

TOK2VEC = """
[components.{0}.model{1}]
@architectures = "spacy.Tok2Vec.v2"

[components.{0}.model{1}.embed]
@architectures = "spacy.MultiHashEmbed.v2"
width = 8
rows = [40,20,20]
attrs = ["NORM","SUFFIX","SHAPE"]
include_static_vectors = false

[components.{0}.model{1}.encode]
@architectures = "spacy.MaxoutWindowEncoder.v2"
width = 8
window_size = 1
maxout_pieces = 2
depth = 2
"""
BAG = """
[components.textcat.model{0}]
@architectures = "spacy.TextCatBOW.v3"
exclusive_classes = {1}
length = 64
ngram_size = 2
no_output_layer = false
nO = null
"""
HEAD = """
[components.textcat.model]
@architectures = "{0}"
{1}nO = null
"""
REDUCE = "exclusive_classes = {0}\nuse_reduce_first = true\nuse_reduce_last = false\nuse_reduce_max = true\nuse_reduce_mean = true\n"


def models(exclusive):
    flag = json.dumps(exclusive)
    network = TOK2VEC.format("textcat", ".tok2vec")
    return {
        "bag": BAG.format("", flag),
        "reduce": HEAD.format("spacy.TextCatReduce.v1", REDUCE.format(flag)) + network,
        "attention": HEAD.format("spacy.TextCatParametricAttention.v1", f"exclusive_classes = {flag}\n") + network,
        "ensemble": HEAD.format("spacy.TextCatEnsemble.v2", "") + BAG.format(".linear_model", flag) + network,
    }


LISTENER = """
[components.textcat.model.tok2vec]
@architectures = "spacy.Tok2VecListener.v1"
width = 8
upstream = "*"

[components.tok2vec]
factory = "tok2vec"
"""

CONFIG = """
[paths]
train = null
dev = null

[system]
seed = 7
gpu_allocator = null

[nlp]
lang = "es"
pipeline = {pipeline}
batch_size = 1000
disabled = []
before_creation = null
after_creation = null
after_pipeline_creation = null
tokenizer = {{"@tokenizers":"spacy.Tokenizer.v1"}}

[components]

[components.textcat]
factory = "{factory}"
{model}
[corpora]

[corpora.dev]
@readers = "spacy.Corpus.v1"
path = ${{paths.dev}}
max_length = 0
gold_preproc = false
limit = 0
augmenter = null

[corpora.train]
@readers = "spacy.Corpus.v1"
path = ${{paths.train}}
max_length = 0
gold_preproc = false
limit = 0
augmenter = null

[training]
seed = ${{system.seed}}
gpu_allocator = ${{system.gpu_allocator}}
dev_corpus = "corpora.dev"
train_corpus = "corpora.train"
frozen_components = []
annotating_components = []
before_to_disk = null
before_update = null
dropout = 0.0
accumulate_gradient = {accumulate}
patience = 0
max_epochs = 0
max_steps = 20
eval_frequency = 4

[training.batcher]
@batchers = "spacy.batch_by_words.v1"
discard_oversize = false
tolerance = 0.2
get_length = null

[training.batcher.size]
@schedules = "compounding.v1"
start = 60
stop = 120
compound = 1.01
t = 0.0

[training.optimizer]
@optimizers = "Adam.v1"
beta1 = 0.9
beta2 = 0.999
L2_is_weight_decay = true
L2 = 0.01
grad_clip = 1.0
use_averages = false
eps = 0.00000001
learn_rate = 0.01

[training.logger]
@loggers = "golden.v1"

[training.score_weights]
cats_score = 1.0

[pretraining]

[initialize]
vectors = null
init_tok2vec = null
vocab_data = null
lookups = null
before_init = null
after_init = null

[initialize.components]

[initialize.tokenizer]
"""

LABELS = ["acta", "contrato", "factura"]
WORDS = {
    "acta": "reunión acuerdo votos presidente sesión orden asistentes secretaria".split(),
    "contrato": "cláusula partes firma arrendador plazo obligaciones vigencia rescisión".split(),
    "factura": "importe IVA total cliente vencimiento 1.250,00 € base".split(),
}
COMMON = "el la de en y del Sr. García 2024 , . : Madrid a que por se documento".split()

infos = []


@spacy.registry.loggers("golden.v1")
def golden_logger():
    def setup(nlp, stdout=None, stderr=None):
        def log(info):
            if info is not None and info["score"] is not None:
                infos.append({"step": info["step"], "epoch": info["epoch"], "loss": float(info["losses"]["textcat"]),
                              "score": float(info["score"])})
        return log, lambda: None
    return setup


def texts(seed, count):
    rng = random.Random(seed)
    found = []
    for i in range(count):
        label = LABELS[i * len(LABELS) // count]
        words = [rng.choice(WORDS[label] if rng.random() < 0.3 else COMMON) for _ in range(rng.randint(3, 40))]
        found.append([label, " ".join(words)])
    return found


def corpus(folder, name, documents):
    nlp = spacy.blank("es")
    docs = DocBin()
    for label, text in documents:
        doc = nlp(text)
        doc.cats = {one: float(one == label) for one in LABELS}
        docs.add(doc)
    docs.to_disk(folder / f"{name}.spacy")


def run(name, config, documents):
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for part in ("train", "dev"):
            corpus(folder, part, documents[part])
        parsed = load_config_from_str(config, overrides={"paths.train": str(folder / "train.spacy"),
                                                         "paths.dev": str(folder / "dev.spacy")})
        infos.clear()
        nlp = init_nlp(parsed)
        # As config.cfg has it: the labels in this order, which is the data's.
        (folder / "out").mkdir()
        train(nlp, folder / "out")
        best = spacy.load(folder / "out" / "model-best")
        scores = [[doc.cats[label] for label in LABELS] for doc in best.pipe(text for _, text in documents["dev"])]
        target = HERE / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        (target / "config.cfg").write_text(config.lstrip())
        (target / "golden.json").write_text(json.dumps({"evaluations": infos, "scores": scores}) + "\n")
        print(name, infos[-1])


def pipelines(documents):
    for exclusive in (True, False):
        factory = "textcat" if exclusive else "textcat_multilabel"
        suffix = "" if exclusive else "_multilabel"
        for name, model in models(exclusive).items():
            config = CONFIG.format(pipeline='["textcat"]', factory=factory, model=model,
                                   accumulate=3 if name == "reduce" else 1)
            run(name + suffix, config, documents)
    model = HEAD.format("spacy.TextCatEnsemble.v2", "") + BAG.format(".linear_model", "true") + LISTENER
    config = CONFIG.format(pipeline='["tok2vec","textcat"]', factory="textcat",
                           model=model + TOK2VEC.format("tok2vec", ""), accumulate=1)
    run("listener", config, documents)


def numbers():
    cases = []
    for seed in (0, 1, 7, 42, 2**32 - 1):
        random.seed(seed)
        shuffled = [list(range(n)) for n in (1, 2, 10, 100)]
        for one in shuffled:
            random.shuffle(one)
        numpy.random.seed(seed)
        uniform = numpy.random.uniform(-0.1, 0.1, 5).tolist()
        cases.append({"seed": seed, "shuffled": shuffled, "uniform": uniform,
                      "normal": numpy.random.normal(size=5).tolist(), "again": numpy.random.uniform(0, 1, 2).tolist()})
    return cases


def batches():
    rng = random.Random(3)
    cases = []
    for start, stop, compound, tolerance, discard in ((100, 1000, 1.001, 0.2, False), (30, 60, 1.05, 0.2, False),
                                                      (30, 20, 0.9, 0.5, True), (50, 50, 1.0, 0.0, False)):
        lengths = [rng.choice([rng.randint(1, 20), rng.randint(1, 90)]) for _ in range(200)]
        sizes = compounding(start, stop, compound)
        epochs = []
        for _ in range(2):
            order = list(range(len(lengths)))
            rng.shuffle(order)
            found = minibatch_by_words(order, sizes if not hasattr(sizes, "to_generator") else sizes.to_generator(),
                                       tolerance=tolerance, discard_oversize=discard, get_length=lambda i: lengths[i])
            epochs.append({"order": order, "batches": [list(batch) for batch in found]})
        cases.append({"start": start, "stop": stop, "compound": compound, "tolerance": tolerance, "discard": discard,
                      "lengths": lengths, "epochs": epochs})
    return cases


def scores():
    rng = random.Random(5)
    nlp = spacy.blank("es")
    cases = []
    for exclusive in (True, False):
        for ties in (True, False):
            examples, predicted, truth = [], [], []
            for _ in range(60):
                values = [rng.randint(0, 4) / 4 if ties else rng.random() for _ in LABELS]
                gold = rng.randrange(2)  # the third label never occurs
                real = [float(k == gold) for k in range(len(LABELS))]
                doc = Doc(nlp.vocab, words=["x"])
                doc.cats = dict(zip(LABELS, values))
                reference = Doc(nlp.vocab, words=["x"])
                reference.cats = dict(zip(LABELS, real))
                examples.append(Example(doc, reference))
                predicted += values
                truth += real
            found = Scorer.score_cats(examples, "cats", labels=LABELS, multi_label=not exclusive,
                                      threshold=0.0 if exclusive else 0.5)
            cases.append({"exclusive": exclusive, "scores": predicted, "truth": truth,
                          "expected": {k: v for k, v in found.items() if isinstance(v, float)}})
    return cases


def main():
    HERE.mkdir(parents=True, exist_ok=True)
    documents = {"train": texts(1, 48), "dev": texts(2, 24)}
    for part in documents:
        corpus(HERE, part, documents[part])
    unknown = Doc(spacy.blank("es").vocab, words=["sin", "espacios"])
    unknown.cats = {"acta": 1.0, "factura": 0.0}
    DocBin(docs=[unknown]).to_disk(HERE / "unknown_spaces.spacy")
    pipelines(documents)
    (HERE / "training.json").write_text(json.dumps(
        {"spacy": spacy.__version__, "documents": documents, "random": numbers(), "batches": batches(),
         "scores": scores()}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
