"""Golden data for tests/nn: tiny BERT and DistilBERT classifiers, computed by transformers and PyTorch.

    python tests/golden/bert.py            writes tests/golden/bert/NAME.bin; made with torch 2.15.0, transformers 5.23.0

Each file is a list of named arrays in the order written (see write()): the configuration, the parameters under their
Hugging Face names ("parameter/..."), two ragged batches, and per batch or run:
  logits/N          of batch N in f64, rounded to f32: the truth that f32 and bf16 are measured against
  bf16_logits/N     of the model converted with .to(torch.bfloat16)
  autocast_logits/N under torch.autocast("cpu", torch.bfloat16)
  loss, gradient/P  mean cross-entropy of batch 0 and its gradient by parameter P, f64 rounded to f32
  autocast_gradient_error/P   relative L2 error of PyTorch's gradient of P under autocast: the error that bf16 may have
  losses            ten steps of AdamW on batches 0, 1, 0, ... with decay groups, linear schedule and clipping, f64
  gradient_norms    before clipping, of those steps
Dropout is off everywhere.
"""

import pathlib
import struct

import numpy as np
import torch
import transformers
from transformers import BertConfig, BertForSequenceClassification, DistilBertConfig, DistilBertForSequenceClassification

OUT = pathlib.Path(__file__).parent / "bert"
LR, WARMUP, STEPS, DECAY, CLIP = 2e-3, 2, 10, 0.01, 4.0

# The sizes are odd on purpose: heads of 8 to 33, nothing a multiple of a vector.
CASES = {
    "bert_h24": dict(hidden=24, heads=3, intermediate=37, layers=2, activation="gelu", eps=1e-12, types=2, padding=0, labels=3),
    "bert_h40": dict(hidden=40, heads=2, intermediate=51, layers=2, activation="gelu_new", eps=1e-5, types=1, padding=1, labels=2),
    "bert_h66": dict(hidden=66, heads=2, intermediate=45, layers=1, activation="relu", eps=1e-12, types=2, padding=1, labels=5),
    "bert_h24_tanh": dict(hidden=24, heads=1, intermediate=29, layers=3, activation="tanh", eps=1e-5, types=2, padding=0, labels=7),
    "distilbert_h66": dict(hidden=66, heads=6, intermediate=33, layers=1, activation="gelu", padding=0, labels=4),
    "distilbert_h24": dict(hidden=24, heads=2, intermediate=49, layers=2, activation="relu", padding=1, labels=2, frozen=True),
}
VOCABULARY, POSITIONS = 43, 21
# Texts with [CLS] and [SEP]: an empty one, one of one token, the longest that fits.
LENGTHS = [[5, 3, POSITIONS, 2, 13], [9, POSITIONS, 3]]


def make_model(case, seed):
    torch.manual_seed(seed)
    # `initializer_range` as a trained model's would be: with 0.02 a tiny model computes nothing but its biases.
    if "eps" in case:
        config = BertConfig(vocab_size=VOCABULARY, hidden_size=case["hidden"], num_hidden_layers=case["layers"],
                            num_attention_heads=case["heads"], intermediate_size=case["intermediate"],
                            hidden_act=case["activation"], max_position_embeddings=POSITIONS, type_vocab_size=case["types"],
                            layer_norm_eps=case["eps"], pad_token_id=case["padding"], num_labels=case["labels"])
        model = BertForSequenceClassification(config)
    else:
        config = DistilBertConfig(vocab_size=VOCABULARY, dim=case["hidden"], n_layers=case["layers"], n_heads=case["heads"],
                                  hidden_dim=case["intermediate"], activation=case["activation"],
                                  max_position_embeddings=POSITIONS, pad_token_id=case["padding"], num_labels=case["labels"])
        model = DistilBertForSequenceClassification(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "LayerNorm.weight" in name or "layer_norm.weight" in name:
                parameter.copy_(1 + 0.2 * torch.randn_like(parameter))
            elif name.endswith("bias"):
                parameter.copy_(0.1 * torch.randn_like(parameter))
            elif "embeddings" in name:
                parameter.copy_(0.3 * torch.randn_like(parameter))
            else:
                parameter.copy_(1.2 / parameter.shape[1] ** 0.5 * torch.randn_like(parameter))
            if case.get("frozen") and "position_embeddings" in name:
                parameter.requires_grad_(False)
    return model.eval()  # no dropout


def make_batch(case, lengths, generator):
    ids = torch.full((len(lengths), max(lengths)), case["padding"])
    mask = torch.zeros_like(ids)
    types = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(0, VOCABULARY, (length,), generator=generator)
        ids[row, length // 2] = case["padding"]  # as a token: it is attended to, but its embedding gets no gradient
        mask[row, :length] = 1
        if case.get("types", 0) > 1:
            types[row, length // 2:length] = 1
    labels = torch.randint(0, case["labels"], (len(lengths),), generator=generator)
    return dict(ids=ids, mask=mask, types=types, labels=labels, lengths=lengths)


def logits_of(model, batch):
    arguments = dict(input_ids=batch["ids"], attention_mask=batch["mask"])
    if isinstance(model, BertForSequenceClassification):
        arguments["token_type_ids"] = batch["types"]
    return model(**arguments).logits


def gradients(model, batch):
    model.zero_grad()
    loss = torch.nn.functional.cross_entropy(logits_of(model, batch).to(torch.promote_types(torch.float32, model.dtype)), batch["labels"])
    loss.backward()
    return loss.item(), {name: p.grad.double() for name, p in model.named_parameters() if p.requires_grad}


def train(model, batches):
    decay = [p for n, p in model.named_parameters() if p.requires_grad and not n.endswith("bias") and "LayerNorm" not in n and "layer_norm" not in n]
    rest = [p for p in model.parameters() if p.requires_grad and not any(p is q for q in decay)]
    optimizer = torch.optim.AdamW([dict(params=decay, weight_decay=DECAY), dict(params=rest, weight_decay=0.0)], lr=LR)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS)
    losses, norms = [], []
    for step in range(STEPS):
        loss, _ = gradients(model, batches[step % 2])
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        losses.append(loss)
        optimizer.step()
        schedule.step()
    return losses, norms


def write(path, arrays):
    """Little endian: per array u32 length of the name, the name, u32 type (0: f32, 1: i32), u32 n, u32 sizes[n], the values."""
    with open(path, "wb") as file:
        for name, value in arrays.items():
            if isinstance(value, torch.Tensor):
                value = value.detach().double().numpy() if value.is_floating_point() else value.numpy()
            value = np.asarray(value)
            integers = np.issubdtype(value.dtype, np.integer)
            value = value.astype("<i4" if integers else "<f4")
            encoded = name.encode()
            file.write(struct.pack(f"<I{len(encoded)}sII{value.ndim}I", len(encoded), encoded, int(integers), value.ndim, *value.shape))
            file.write(value.tobytes())


def main():
    OUT.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    for seed, (name, case) in enumerate(CASES.items()):
        model = make_model(case, seed)
        generator = torch.Generator().manual_seed(1000 + seed)
        batches = [make_batch(case, lengths, generator) for lengths in LENGTHS]
        arrays = {"config/distilbert": int("eps" not in case), "config/vocab_size": VOCABULARY, "config/max_positions": POSITIONS,
                  "config/types": case.get("types", 0), "config/frozen": int(case.get("frozen", False)),
                  "config/eps": case.get("eps", 1e-12),
                  "config/activation": {"gelu": 1, "gelu_new": 2, "relu": 3, "tanh": 4}[case["activation"]],
                  "train/lr": LR, "train/warmup": WARMUP, "train/decay": DECAY, "train/clip": CLIP}
        arrays |= {"config/" + key: case[key] for key in ("hidden", "heads", "intermediate", "layers", "padding", "labels")}
        arrays |= {"parameter/" + key: value for key, value in model.named_parameters()}

        exact = make_model(case, seed).double()
        halves = {precision: make_model(case, seed).to(dtype) for precision, dtype in (("bf16", torch.bfloat16), ("f16", torch.float16))}
        for i, batch in enumerate(batches):
            # Packed: what the padding holds is not written.
            arrays[f"batch/{i}/ids"] = torch.cat([row[:n] for row, n in zip(batch["ids"], batch["lengths"])])
            arrays[f"batch/{i}/types"] = torch.cat([row[:n] for row, n in zip(batch["types"], batch["lengths"])])
            arrays[f"batch/{i}/lengths"] = np.array(batch["lengths"])
            arrays[f"batch/{i}/labels"] = batch["labels"]
            with torch.no_grad():
                arrays[f"logits/{i}"] = logits_of(exact, batch)
                for precision, half in halves.items():
                    arrays[f"{precision}_logits/{i}"] = logits_of(half, batch)
                with torch.autocast("cpu", torch.bfloat16):
                    arrays[f"autocast_logits/{i}"] = logits_of(model, batch)
        arrays["loss"], truth = gradients(exact, batches[0])
        with torch.autocast("cpu", torch.bfloat16):
            _, rough = gradients(model, batches[0])
        for key, value in truth.items():
            arrays["gradient/" + key] = value
            arrays["autocast_gradient_error/" + key] = ((rough[key] - value).norm() / value.norm().clamp_min(1e-30)).item()
        arrays["losses"], arrays["gradient_norms"] = train(exact, batches)
        write(OUT / f"{name}.bin", arrays)
        print(name, "losses", [round(x, 4) for x in arrays["losses"]], "norms", [round(x, 2) for x in arrays["gradient_norms"]])


main()
