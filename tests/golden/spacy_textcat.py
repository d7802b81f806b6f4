#!/usr/bin/env python3
"""Writes tests/golden/spacy_textcat/: a small pipeline of every text categorizer of spaCy's, and its scores of odd texts.

    pip install spacy && python3 tests/golden/spacy_textcat.py

Made with spaCy 3.8.18. Weights are random numbers, from a short list repeated where a table has its size from spaCy (2^18 rows), so that they
compress. The pipelines are those that spaCy saves, but for: models are compressed (model.gz); the tokenizer is tests/golden/spacy/es/tokenizer,
for all of them; sections of the configuration that only training reads are left out. scores.json: the texts, each a string and how often it is
repeated, and for each pipeline a row of scores for each text, in the order of the labels.

Where spaCy fails on a text without tokens (E: an empty sequence in reduce_max and the like; bigrams of nothing), the scores are those of the output
layer with nothing before it.
"""
import copy
import gzip
import json
import pathlib
import random
import shutil

import numpy
import spacy
from thinc.api import Config, fix_random_seed

HERE = pathlib.Path(__file__).parent
OUT = HERE / "spacy_textcat"
LABELS = ["ACTA", "informe", "ñandú"]
TEXTS = [
    ("", 1), (" ", 1), ("   ", 1), ("\n\n\t", 1), ("a", 1), ("X", 1), ("_", 1), ("El Sr. Gil (que vive en EE. UU.) llegará a las 3p.m., pal caso.", 1),
    ("Acta de la reunión del 12/03/2024: se aprueba, por unanimidad, el informe n.º 7.", 1), ("INFORME TÉCNICO", 1), ("informe técnico", 1),
    ("😀👩‍👩‍👧🇵🇪 ♥ ™", 1), ("中国。 हिन्दी। العربية؟ 한국어", 1), ("İstanbul ΌΣΟΣ Straße ǅ ½ ² Ⅷ", 1), ("e\u0301tat \u0301 \u200d", 1), ("x" * 120, 1), ("no ", 400),
    ("Cuesta 10,50€, US$30 y 5%; pesa 3kg/m². ", 60), ("¿Quién? ¡Nadie!… (véase pág. 4)\r\n", 3), ("juan.perez@correo.com https://www.ejemplo.es/ruta?x=1", 1),
    ("uno dos tres", 1), ("tres dos uno", 1), ("uno  dos   tres", 1), (" uno", 1), ("uno ", 1), ("uno\u00a0dos\u2003tres", 1), (":) :-( (:) ^_^", 1),
    ("can't won't it's", 1), ("0 1 22 333 4444 55555 -1 +2 3.5", 1), ("\ufffd\x01", 1), ("a la vez que el acta, el ñandú corre y corre y corre. ", 2), ("....----....", 1),
]

BOW = {"@architectures": "spacy.TextCatBOW.v3", "exclusive_classes": True, "ngram_size": 1, "no_output_layer": False, "length": 64, "nO": None}
EMBED = {"@architectures": "spacy.MultiHashEmbed.v2", "width": 6, "attrs": ["NORM", "LOWER", "PREFIX", "SUFFIX", "SHAPE"], "rows": [20, 13, 7, 9, 5],
         "include_static_vectors": False}
ENCODE = {"@architectures": "spacy.MaxoutWindowEncoder.v2", "width": 6, "depth": 2, "window_size": 1, "maxout_pieces": 3}
TOK2VEC = {"@architectures": "spacy.Tok2Vec.v2", "embed": EMBED, "encode": ENCODE}
HASH_CNN = {"@architectures": "spacy.HashEmbedCNN.v2", "width": 5, "depth": 1, "embed_size": 16, "window_size": 2, "maxout_pieces": 2,
            "subword_features": True, "pretrained_vectors": None}
REDUCE = {"@architectures": "spacy.TextCatReduce.v1", "exclusive_classes": True, "use_reduce_first": False, "use_reduce_last": False,
          "use_reduce_max": False, "use_reduce_mean": True, "nO": None, "tok2vec": HASH_CNN}
LISTENER = {"@architectures": "spacy.Tok2VecListener.v1", "width": "${components.palabras.model.encode.width}", "upstream": "*"}


def changed(block, **changes):
    result = copy.deepcopy(block)
    result.update(changes)
    return result


def only(block, *left_out, **changes):
    return {key: value for key, value in changed(block, **changes).items() if key not in left_out}


def ensemble(linear=BOW, tok2vec=TOK2VEC):
    return {"@architectures": "spacy.TextCatEnsemble.v2", "nO": None, "linear_model": linear, "tok2vec": tok2vec}


def attention(tok2vec=TOK2VEC, exclusive=True):
    return {"@architectures": "spacy.TextCatParametricAttention.v1", "exclusive_classes": exclusive, "nO": None, "tok2vec": tok2vec}


OLD_BOW = only(BOW, "length", **{"@architectures": "spacy.TextCatBOW.v2"})
OLD_CNN = {"@architectures": "spacy.TextCatCNN.v2", "exclusive_classes": True, "nO": None, "tok2vec": HASH_CNN}
VECTORS = changed(TOK2VEC, embed=changed(EMBED, attrs=["ORTH", "NORM", "SPACY", "IS_SPACE"], rows=[11, 12, 3, 4], include_static_vectors=True))
# What old pipelines have: a word without a vector gets the table's last one.
OLD_TOK2VEC = {"@architectures": "spacy.Tok2Vec.v1", "embed": changed(VECTORS["embed"], **{"@architectures": "spacy.MultiHashEmbed.v1"}),
               "encode": changed(ENCODE, **{"@architectures": "spacy.MaxoutWindowEncoder.v1"})}
CHARACTERS = changed(TOK2VEC, embed={"@architectures": "spacy.CharacterEmbed.v2", "width": 6, "rows": 17, "nM": 3, "nC": 5, "feature": "LOWER",
                                     "include_static_vectors": False})
# Name: the categorizer's model, and what else there is of "multi", "tok2vec" (a component's model), "vectors".
PIPELINES = {
    "bow_v1": (only(OLD_BOW, **{"@architectures": "spacy.TextCatBOW.v1"}), {}),
    "bow_v1_multi": (only(OLD_BOW, ngram_size=2, exclusive_classes=False, **{"@architectures": "spacy.TextCatBOW.v1"}), {"multi": True}),
    "bow_v2": (changed(OLD_BOW, ngram_size=3), {}),
    "bow_v3": (BOW, {}),
    "bow_v3_multi": (changed(BOW, ngram_size=2, length=100, exclusive_classes=False), {"multi": True}),
    "bow_v3_raw": (changed(BOW, no_output_layer=True), {}),
    "cnn_v1": (changed(OLD_CNN, tok2vec=changed(HASH_CNN, pretrained_vectors=True, **{"@architectures": "spacy.HashEmbedCNN.v1"}),
                       **{"@architectures": "spacy.TextCatCNN.v1"}), {"vectors": (6, 4)}),
    "cnn_v1_multi": (changed(OLD_CNN, exclusive_classes=False, **{"@architectures": "spacy.TextCatCNN.v1"}), {"multi": True}),
    "cnn_v2": (OLD_CNN, {}),
    "cnn_v2_multi": (changed(OLD_CNN, exclusive_classes=False), {"multi": True}),
    "reduce_mean": (REDUCE, {}),
    "reduce_all_multi": (changed(REDUCE, exclusive_classes=False, use_reduce_first=True, use_reduce_last=True, use_reduce_max=True, tok2vec=TOK2VEC), {"multi": True}),
    "reduce_max_last": (changed(REDUCE, use_reduce_mean=False, use_reduce_last=True, use_reduce_max=True), {}),
    "ensemble_v2": (ensemble(), {}),
    "ensemble_v2_multi": (ensemble(changed(BOW, exclusive_classes=False)), {"multi": True}),
    "ensemble_v2_raw_bow": (ensemble(changed(BOW, no_output_layer=True)), {}),
    "ensemble_v2_norms": (ensemble(tok2vec=changed(HASH_CNN, subword_features=False)), {}),
    "attention": (attention(), {}),
    "attention_multi": (attention(exclusive=False), {"multi": True}),
    "listener": (ensemble(tok2vec=LISTENER), {"tok2vec": TOK2VEC}),
    "listener_vectors_multi": (ensemble(changed(BOW, exclusive_classes=False), LISTENER), {"multi": True, "tok2vec": VECTORS, "vectors": (4, 7)}),
    "vectors": (attention(VECTORS), {"vectors": (8, 5)}),
    "vectors_v1": (changed(REDUCE, tok2vec=OLD_TOK2VEC), {"vectors": (5, 4)}),
    "characters": (attention(CHARACTERS), {}),
}


def set_vectors(nlp, shape, draw):
    """Vectors for some words, of the texts and not, two words sharing a row."""
    words = ["acta", "el", "El", "ñandú", "😀", ".", "no", "uno", "nunca", "X"][:shape[0]]
    nlp.vocab.vectors = spacy.vectors.Vectors(data=draw.normal(size=shape).astype("float32"), keys=[nlp.vocab.strings.add(word) for word in words])
    nlp.vocab.vectors.add(nlp.vocab.strings.add("dos"), row=1)


def set_weights(model, draw):
    values = draw.normal(size=997).astype("float32")
    for node in model.walk():
        for name in node.param_names:
            value = node.get_param(name)
            if node.name == "sparse_linear" and value.size > 100000:
                value = numpy.resize(values, value.shape)
            else:
                value = draw.normal(scale=0.7, size=value.shape).astype("float32") + (1 if name == "G" else 0)
            node.set_param(name, value.astype("float32"))


def make(name, model, options, draw):
    fix_random_seed(0)
    component = "textcat_multilabel" if options.get("multi") else "textcat"
    labels = LABELS[:2] if "v1" in name or "v2" in name and "bow" in name else LABELS
    components = {"palabras": {"factory": "tok2vec", "model": options["tok2vec"]}} if "tok2vec" in options else {}
    components["clases"] = {"factory": component, "model": model}
    config = Config({"nlp": {"lang": "es", "pipeline": list(components)}, "components": components})
    nlp = spacy.util.load_model_from_config(config, auto_fill=True)
    if "vectors" in options:
        set_vectors(nlp, options["vectors"], draw)
    for label in labels:
        nlp.get_pipe("clases").add_label(label)
    nlp.initialize()
    for component_name in components:
        set_weights(nlp.get_pipe(component_name).model, draw)
    return nlp


def nothing_scores(nlp, multi):
    """The scores of a text without tokens, where the model fails on it."""
    output = nlp.get_pipe("clases").model.get_ref("output_layer")
    if output.name == "sparse_linear":
        scores = output.get_param("b").astype("float64")
        scores = scores if multi else numpy.exp(scores) / numpy.exp(scores).sum()
    else:
        scores = output.predict(numpy.zeros((1, output.get_dim("nI")), dtype="float32"))[0]
    return (1 / (1 + numpy.exp(-scores)) if multi else scores).tolist()


def scores_of(nlp, texts, multi):
    labels = nlp.get_pipe("clases").labels
    rows = {}
    try:
        docs = list(nlp.pipe(texts))
    except (ValueError, IndexError):
        docs = list(nlp.pipe(text for text in texts if text))
        rows[""] = nothing_scores(nlp, multi)
    rows.update({doc.text: [doc.cats[label] for label in labels] for doc in docs})
    return [[float(f"{score:.9g}") for score in rows[text]] for text in texts]


def save(nlp, folder):
    nlp.to_disk(folder)
    assert (folder / "tokenizer").read_bytes() == (HERE / "spacy/es/tokenizer").read_bytes()
    (folder / "tokenizer").unlink()
    config = Config().from_disk(folder / "config.cfg", interpolate=False)
    Config({key: config[key] for key in ("nlp", "components")}).to_disk(folder / "config.cfg", interpolate=False)
    (folder / "meta.json").write_text(json.dumps({"lang": "es", "name": folder.name, "version": "0.0.0"}) + "\n")
    for model in folder.glob("*/model"):
        with open(f"{model}.gz", "wb") as file, gzip.GzipFile("", "wb", 9, file, 0) as zipped:
            zipped.write(model.read_bytes())
        model.unlink()
    if len(nlp.vocab.vectors):
        for file in ("lookups.bin", "strings.json"):
            (folder / "vocab" / file).unlink()
    else:
        shutil.rmtree(folder / "vocab")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    texts = [text * times for text, times in TEXTS]
    scores = {}
    for name, (model, options) in PIPELINES.items():
        nlp = make(name, model, options, numpy.random.default_rng(list(name.encode())))
        scores[name] = scores_of(nlp, texts, options.get("multi"))
        save(nlp, OUT / name)
    with open(OUT / "scores.json", "w", encoding="ascii") as file:
        file.write('{"texts":' + json.dumps(TEXTS) + ',\n"scores":{\n')
        file.write(",\n".join(json.dumps(name) + ":" + json.dumps(rows, separators=(",", ":")) for name, rows in scores.items()) + "}}\n")


main()
