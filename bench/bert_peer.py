#!/usr/bin/env python3
"""One reference framework doing one piece of work on BETO's shapes, once for each line on stdin, answering each with the
milliseconds it took. compare_bert.py lets it take turns with aid, so that both meet the same machine.

    bert_peer.py {torch|onnxruntime|openvino} {infer|ragged|train} --precision {f32|bf16} [--batch N --length N] --model DIR
"""
import argparse
import pathlib
import resource
import sys
import time

import numpy as np

LABELS = 12


def ragged_lengths():
    """64 lengths from 20 to 512 in the order of the files: the same for everybody."""
    return [20 + (i * 37 % 64) * 492 // 63 for i in range(64)]


def batches(work, arguments, rng):
    """Lists of token ids, padded to the longest of each batch, with their masks."""
    if work == "ragged":
        lengths = ragged_lengths()
        if arguments.order == "sorted":
            lengths.sort()
        groups = [lengths[i:i + arguments.batch] for i in range(0, len(lengths), arguments.batch)]
    else:
        groups = [[arguments.length] * arguments.batch]
    for group in groups:
        ids = np.full((len(group), max(group)), 1, np.int64)
        mask = np.zeros_like(ids)
        for row, length in enumerate(group):
            ids[row, :length] = rng.integers(5, 31002, length)
            mask[row, :length] = 1
        yield ids, mask


def torch_work(arguments, inputs):
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(arguments.model)
    inputs = [(torch.from_numpy(ids), torch.from_numpy(mask)) for ids, mask in inputs]
    bf16 = arguments.precision == "bf16"
    if arguments.work != "train":
        model.eval()
        model = model.to(torch.bfloat16) if bf16 else model

        def infer():
            with torch.inference_mode():
                for ids, mask in inputs:
                    model(input_ids=ids, attention_mask=mask)

        return infer
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, fused=True)
    labels = torch.randint(0, LABELS, (arguments.batch,))

    def train():
        for ids, mask in inputs:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return train


def onnx_file(model_dir):
    """The model as ONNX beside its weights, exported once."""
    path = pathlib.Path(model_dir) / "model.onnx"
    if path.exists():
        return path
    import torch
    from transformers import AutoModelForSequenceClassification

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = AutoModelForSequenceClassification.from_pretrained(model_dir).eval()

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    ids = torch.ones((2, 16), dtype=torch.int64)
    axes = {"input_ids": {0: "b", 1: "s"}, "attention_mask": {0: "b", 1: "s"}, "logits": {0: "b"}}
    torch.onnx.export(Logits(), (ids, ids), str(path), input_names=["input_ids", "attention_mask"], output_names=["logits"],
                      dynamic_axes=axes, opset_version=17, dynamo=False)
    return path


def onnxruntime_work(arguments, inputs):
    import onnxruntime
    from onnxruntime.transformers.optimizer import optimize_model

    fused = pathlib.Path(arguments.model) / "model_fused.onnx"
    if not fused.exists():  # the fusions that its own BERT recipe applies
        optimize_model(str(onnx_file(arguments.model)), "bert", num_heads=12, hidden_size=768).save_model_to_file(str(fused))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    session = onnxruntime.InferenceSession(str(fused), options, providers=["CPUExecutionProvider"])

    def infer():
        for ids, mask in inputs:
            session.run(None, {"input_ids": ids, "attention_mask": mask})

    return infer


def openvino_work(arguments, inputs):
    import openvino

    core = openvino.Core()
    hints = {"INFERENCE_PRECISION_HINT": arguments.precision, "INFERENCE_NUM_THREADS": arguments.threads,
             "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(core.read_model(str(onnx_file(arguments.model))), "CPU", hints).create_infer_request()

    def infer():
        for ids, mask in inputs:
            request.infer({"input_ids": ids, "attention_mask": mask})

    return infer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("framework", choices=["torch", "onnxruntime", "openvino"])
    parser.add_argument("work", choices=["infer", "ragged", "train"])
    parser.add_argument("--model", required=True)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--order", choices=["sorted", "file"], default="sorted")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    inputs = list(batches(arguments.work, arguments, np.random.default_rng(0)))
    run = {"torch": torch_work, "onnxruntime": onnxruntime_work, "openvino": openvino_work}[arguments.framework](arguments, inputs)
    run()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        elapsed = (time.perf_counter() - start) * 1e3
        print(f"{elapsed:.3f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}", flush=True)


if __name__ == "__main__":
    main()
