#!/usr/bin/env python3
"""One reference framework doing one piece of work on BETO's shapes, once for each line on stdin, answering each with the
milliseconds it took. compare_bert.py lets it take turns with aid, so that both meet the same machine.

    bert_peer.py {torch|onnxruntime|openvino|tensorrt} {infer|ragged|train} --precision {f32|bf16|f16} [--device {cpu|cuda}]
                 [--batch N --length N] --model DIR

A turn ends when the host has the results. PyTorch runs on either device, TensorRT on a GPU, the others on the CPU.
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
    device = torch.device(arguments.device)
    if device.type == "cuda":  # without padding it needs no mask, and has faster kernels
        inputs = [(ids.pin_memory(), None if mask.all() else mask.pin_memory()) for ids, mask in inputs]
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[arguments.precision]

    def to_device(ids, mask):
        return {"input_ids": ids.to(device, non_blocking=True),
                "attention_mask": None if mask is None else mask.to(device, non_blocking=True)}

    if arguments.work != "train":
        model = model.eval().to(device, dtype)

        def infer():
            with torch.inference_mode():
                for ids, mask in inputs:
                    model(**to_device(ids, mask)).logits.cpu()

        return infer
    model.train().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, fused=True)
    labels = torch.randint(0, LABELS, (arguments.batch,)).to(device)

    def train():
        for ids, mask in inputs:
            with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
                loss = model(**to_device(ids, mask), labels=labels).loss
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            loss.item(), norm.item()

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


def tensorrt_work(arguments, inputs):
    """An engine for these very shapes: TensorRT at its best."""
    import tensorrt
    import torch

    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(0)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx_file(arguments.model))):
        sys.exit("TensorRT cannot read the ONNX file: " + "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors)))
    config = builder.create_builder_config()
    config.clear_flag(tensorrt.BuilderFlag.TF32)  # as the others compute f32
    if arguments.precision != "f32":
        config.set_flag(tensorrt.BuilderFlag.BF16 if arguments.precision == "bf16" else tensorrt.BuilderFlag.FP16)
    profile = builder.create_optimization_profile()
    shapes = sorted(ids.shape for ids, _ in inputs)
    smallest, largest = (tuple(pick(shape[axis] for shape in shapes) for axis in (0, 1)) for pick in (min, max))
    for name in ("input_ids", "attention_mask"):
        profile.set_shape(name, smallest, shapes[len(shapes) // 2], largest)
    config.add_optimization_profile(profile)
    engine = tensorrt.Runtime(logger).deserialize_cuda_engine(builder.build_serialized_network(network, config))
    context = engine.create_execution_context()
    stream = torch.cuda.Stream()
    inputs = [[torch.from_numpy(array).pin_memory() for array in pair] for pair in inputs]
    logits = torch.empty((largest[0], LABELS), dtype=torch.float32, device="cuda")
    context.set_tensor_address("logits", logits.data_ptr())

    def infer():
        with torch.cuda.stream(stream):
            for pair in inputs:
                on_device = [array.cuda(non_blocking=True) for array in pair]
                for name, array in zip(("input_ids", "attention_mask"), on_device):
                    context.set_input_shape(name, tuple(array.shape))
                    context.set_tensor_address(name, array.data_ptr())
                context.execute_async_v3(stream.cuda_stream)
                logits[:pair[0].shape[0]].cpu()

    return infer


WORK = {"torch": torch_work, "onnxruntime": onnxruntime_work, "openvino": openvino_work, "tensorrt": tensorrt_work}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("framework", choices=WORK)
    parser.add_argument("work", choices=["infer", "ragged", "train"])
    parser.add_argument("--model", required=True)
    parser.add_argument("--precision", choices=["f32", "bf16", "f16"], default="f32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--order", choices=["sorted", "file"], default="sorted")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    inputs = list(batches(arguments.work, arguments, np.random.default_rng(0)))
    run = WORK[arguments.framework](arguments, inputs)
    run()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        elapsed = (time.perf_counter() - start) * 1e3
        print(f"{elapsed:.3f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}", flush=True)


if __name__ == "__main__":
    main()
