#!/usr/bin/env python3
"""BETO's shapes on aid, PyTorch, ONNX Runtime and OpenVINO, or on a GPU on aid, PyTorch and, where it is installed,
TensorRT, in turns, so that every ratio comes from one run on one machine. ratio = the peer's time over ours: above 1, aid is
faster. `./dev compare bert [--device cuda] [--json FILE] [--only TEXT]`.

The JSON is a list of {work, peer, ratio, bar, ours_ms, peer_ms}; times are medians. A ratio's bar is what the project aims at.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/release"


class Worker:
    """A process that does its work once for each line that it is sent."""

    def __init__(self, command):
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, env=os.environ | {"OMP_NUM_THREADS": "2"})
        answer = self.process.stdout.readline().strip()
        while answer and answer != "ready":
            answer = self.process.stdout.readline().strip()
        if answer != "ready":
            sys.exit(f"could not start: {' '.join(str(part) for part in command)}")

    def ask(self, line="run"):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def run(self, on_cpu):
        if on_cpu:
            time.sleep(0.2)  # the other's threads spin for a while after their work: no turn begins before they sleep
        ms, mib = self.ask().split()
        return float(ms), float(mib)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ours(work, *arguments):
    return [BUILD / "bert_worker", work, *arguments]


def peer(framework, work, model, *arguments):
    return [sys.executable, ROOT / "bench/bert_peer.py", framework, work, "--model", model, *arguments]


def cases(model):
    """(name, our command, [(peer's name, its command, bar)], rounds)"""
    for batch, torch_bar, openvino_bf16 in ((1, 1.6, 1.2), (8, 1.6, 1.05)):
        shape = ["--batch", batch, "--length", 128]
        yield (f"inference f32 b{batch} s128", ours("infer", *shape),
               [("OpenVINO", peer("openvino", "infer", model, *shape), 1.12),
                ("ONNX Runtime", peer("onnxruntime", "infer", model, *shape), 1.12),
                ("PyTorch", peer("torch", "infer", model, *shape), None)], 9 if batch == 1 else 3)
        shape += ["--precision", "bf16"]
        yield (f"inference bf16 b{batch} s128", ours("infer", *shape),
               [("OpenVINO", peer("openvino", "infer", model, *shape), openvino_bf16),
                ("PyTorch", peer("torch", "infer", model, *shape), torch_bar)], 11 if batch == 1 else 5)
    bf16 = ["--precision", "bf16", "--batch", 8]
    yield ("64 ragged texts bf16", ours("ragged", "--precision", "bf16"),
           [(f"{name}, {label}", peer(framework, "ragged", model, *bf16, "--order", order), bar)
            for framework, name, sorted_bar in (("openvino", "OpenVINO", 1.2), ("torch", "PyTorch", 1.7))
            for order, label, bar in (("sorted", "sorted by length", sorted_bar), ("file", "file order", 2.0))], 2)
    for precision, bar in (("bf16", 1.6), ("f32", 2.3)):
        shape = ["--batch", 8, "--length", 128, "--precision", precision]
        yield (f"fine-tuning step {precision} b8 s128", ours("train", *shape), [("PyTorch", peer("torch", "train", model, *shape), bar)], 3)


def gpu_cases(model):
    """The same on a GPU. Batches of 1 show what a call costs, large ones what the GPU can do."""
    cuda = ["--device", "cuda"]
    with_tensorrt = importlib.util.find_spec("tensorrt") is not None
    if not with_tensorrt:
        print("TensorRT: not installed in .peers, left out")

    def peers(work, *arguments):
        yield ("PyTorch", peer("torch", work, model, *arguments), 1.0)
        if with_tensorrt and work != "train":
            yield ("TensorRT", peer("tensorrt", work, model, *arguments), None)

    for precision in ("f32", "bf16", "f16"):
        for batch in (1, 32, 128):
            shape = [*cuda, "--precision", precision, "--batch", batch, "--length", 128]
            yield f"inference {precision} b{batch} s128", ours("infer", *shape), list(peers("infer", *shape)), 20
    bf16 = [*cuda, "--precision", "bf16"]
    yield ("64 ragged texts bf16", ours("ragged", *bf16),
           [(f"{name}, sorted by length", command, bar) for name, command, bar in peers("ragged", *bf16, "--batch", 8)], 10)
    for precision in ("bf16", "f32"):
        for batch in (32, 64):
            shape = [*cuda, "--precision", precision, "--batch", batch, "--length", 128]
            yield f"fine-tuning step {precision} b{batch} s128", ours("train", *shape), list(peers("train", *shape)), 20


def measure(name, command, peers, rounds, rows):
    own = Worker(command)
    on_cpu = "cuda" not in command
    for peer_name, peer_command, bar in peers:
        other = Worker(peer_command)
        times, peaks = [], []
        for _ in range(rounds):
            (our_ms, our_mib), (peer_ms, peer_mib) = own.run(on_cpu), other.run(on_cpu)
            times.append((our_ms, peer_ms))
            peaks.append((our_mib, peer_mib))
        other.close()
        # The ratio of each pair, then their median: a machine that slows down slows both of a pair.
        ratio = statistics.median(theirs / our for our, theirs in times)
        rows.append({"work": name, "peer": peer_name, "ratio": round(ratio, 3), "bar": bar,
                     "ours_ms": round(statistics.median(our for our, _ in times), 2),
                     "peer_ms": round(statistics.median(theirs for _, theirs in times), 2)})
        print_row(rows[-1])
        if name.startswith("fine-tuning") and on_cpu:  # the host's memory
            our_peak, peer_peak = max(peak[0] for peak in peaks), max(peak[1] for peak in peaks)
            rows.append({"work": f"peak memory of the {name}", "peer": peer_name, "ratio": round(peer_peak / our_peak, 3),
                         "bar": round(1 / 0.7, 3), "ours_mib": round(our_peak), "peer_mib": round(peer_peak)})
            print_row(rows[-1])
    ops, peak = json.loads(own.ask("profile")), float(own.ask("peak"))
    own.close()
    return ops, peak


def is_product(op):
    return op.startswith("linear")


def print_profile(name, ops, peak):
    """Where our own time goes: per op its share, and for matrix products the share of the machine's measured peak."""
    total = sum(op["ms"] for op in ops.values())
    products = {name: op for name, op in ops.items() if is_product(name)}
    product_ms = sum(op["ms"] for op in products.values())
    flops = sum(op["gflop"] for op in products.values())
    print(f"\n{name}: {total:.1f} ms in ops; matrix products {product_ms / total:.1%} of it, at "
          f"{flops / product_ms * 1e3 / peak:.1%} of the machine's {peak:.0f} GFLOP/s")
    for op, sums in sorted(ops.items(), key=lambda item: -item[1]["ms"]):
        print(f"  {op:36} {sums['ms']:9.2f} ms {sums['ms'] / total:6.1%} {sums['calls']:5} calls"
              f" {sums['gflop'] / sums['ms'] * 1e3:8.0f} GFLOP/s {sums['mb'] / sums['ms']:7.1f} GB/s")


def print_row(row):
    bar = "" if row["bar"] is None else f"   bar {row['bar']:.2f} {'reached' if row['ratio'] >= row['bar'] else 'MISSED'}"
    unit = "mib" if "ours_mib" in row else "ms"
    print(f"{row['work']:44} {row['peer']:28} {row['ratio']:6.2f}x   {row['ours_' + unit]:9} {row['peer_' + unit]:9} {unit}{bar}", flush=True)


# --- aid predict as a whole process -------------------------------------------------------------------------------------

PIPELINE = """
import sys, pathlib
from transformers import pipeline
files = sys.argv[3:]
classify = pipeline("text-classification", model=sys.argv[1], device=sys.argv[2], truncation=True)
for file, verdict in zip(files, classify([pathlib.Path(f).read_text() for f in files])):
    print(file, verdict["label"], verdict["score"])
"""

TUNED = """
import sys, pathlib, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
torch.set_num_threads(2)
files = sys.argv[3:]
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1], dtype=torch.bfloat16).eval().to(sys.argv[2])
ids = tokenizer([pathlib.Path(f).read_text() for f in files], truncation=True, max_length=512)["input_ids"]
order = sorted(range(len(files)), key=lambda i: len(ids[i]))
with torch.inference_mode():
    for begin in range(0, len(order), 8):
        rows = order[begin:begin + 8]
        batch = tokenizer.pad({"input_ids": [ids[i] for i in rows]}, return_tensors="pt").to(sys.argv[2])
        for i, p in zip(rows, model(**batch).logits.float().softmax(-1)):
            print(files[i], int(p.argmax()), float(p.max()))
"""


def whole_process(model, device, files, rows, rounds=2):
    def seconds(command):
        start = time.perf_counter()
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - start

    own = [BUILD / "aid", "predict", model, *files, "--quiet", "--device", device]
    for name, script, bar in (("transformers pipeline", PIPELINE, 2.5), ("transformers, bf16, batches of 8 by length", TUNED, 1.4)):
        other = [sys.executable, "-c", script, model, device, *files]
        pairs = [(seconds(own), seconds(other)) for _ in range(rounds)]
        rows.append({"work": f"aid predict, {len(files)} files, whole process", "peer": name,
                     "ratio": round(statistics.median(theirs / our for our, theirs in pairs), 3), "bar": bar,
                     "ours_ms": round(statistics.median(our for our, _ in pairs) * 1e3),
                     "peer_ms": round(statistics.median(theirs for _, theirs in pairs) * 1e3)})
        print_row(rows[-1])
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as short:
        short.write("hola\n")
        short.flush()
        start_up = min(seconds([BUILD / "aid", "predict", model, short.name, "--quiet", "--device", device]) for _ in range(3))
    print(f"start-up (one word): {start_up * 1e3:.0f} ms")


def random_model(folder, files):
    """BETO-base with random weights as a Hugging Face directory, with a vocabulary trained on the files."""
    if (folder / "tokenizer.json").exists():
        return folder
    import torch
    import transformers
    from tokenizers import BertWordPieceTokenizer

    torch.manual_seed(0)
    labels = {i: f"typology_{i:02}" for i in range(12)}
    config = transformers.BertConfig(vocab_size=31002, pad_token_id=1, id2label=labels, label2id={v: k for k, v in labels.items()})
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    trainer = BertWordPieceTokenizer(lowercase=True, strip_accents=False)
    trainer.train([str(file) for file in files], vocab_size=31002, min_frequency=1, show_progress=False,
                  special_tokens=["[MASK]", "[PAD]", "[EOS]", "[UNK]", "[CLS]", "[SEP]"])
    trainer.save_model(str(folder))
    tokenizer = transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=True, strip_accents=False,
                                               model_max_length=512)
    assert len(tokenizer) > 10_000, f"{folder}: the tokenizer has {len(tokenizer)} words; expected those of vocab.txt"
    tokenizer.save_pretrained(folder)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--only", default="", help="the cases whose name holds this text")
    arguments = parser.parse_args()
    data = subprocess.run([sys.executable, ROOT / "examples/libreoffice_help.py", ROOT / ".demo/data"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()
    files = sorted(pathlib.Path(data, "text_dataset/train").glob("*/*.txt"))
    model = random_model(ROOT / ".peers/beto_random", files)
    if arguments.device == "cpu":  # exports ONNX before anything is timed
        subprocess.run([sys.executable, ROOT / "bench/bert_peer.py", "onnxruntime", "infer", "--model", model], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    rows, profiles = [], []
    for name, command, peers, rounds in gpu_cases(model) if arguments.device == "cuda" else cases(model):
        if arguments.only in name:
            profiles.append((name, *measure(name, command, peers, rounds, rows)))
    if arguments.only in "predict":
        whole_process(model, arguments.device, files[:: len(files) // 100][:100], rows)
    for profile in profiles:
        print_profile(*profile)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
