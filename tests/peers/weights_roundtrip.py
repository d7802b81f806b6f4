"""Weights that PyTorch, safetensors and transformers write are read by us, written again, and read by safetensors: equal bit by
bit. And ours are opened by transformers.

    python tests/peers/weights_roundtrip.py [BUILD_FOLDER]    # the one with io_test; default: build/release
"""
import os
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8,
          torch.uint8, torch.bool]


def random_tensor(generator):
    dims = torch.randint(0, 5, (), generator=generator).item()
    shape = torch.randint(0, 6, (dims,), generator=generator).tolist()
    dtype = DTYPES[torch.randint(0, len(DTYPES), (), generator=generator).item()]
    tensor = (torch.randn(shape, generator=generator) * 50).abs().to(dtype)
    if dims >= 2 and torch.rand((), generator=generator) < 0.5:
        tensor = tensor.permute(torch.randperm(dims, generator=generator).tolist())
    if dims >= 1 and tensor.shape[0] > 1 and torch.rand((), generator=generator) < 0.5:
        tensor = tensor[1::2]
    return tensor


def same(ours, theirs):
    assert ours.keys() == theirs.keys(), ours.keys() ^ theirs.keys()
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype and ours[name].shape == tensor.shape, name
        bits = [t.detach().reshape(-1).clone(memory_format=torch.contiguous_format).view(torch.uint8) for t in (ours[name], tensor)]
        assert torch.equal(*bits), name


def write_again(build, folder):
    subprocess.run([build / "io_test", "--gtest_also_run_disabled_tests", "--gtest_filter=PeersRoundTrip.*", "--gtest_brief=1"],
                   env=os.environ | {"AID_ROUNDTRIP_DIR": str(folder)}, check=True)


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release").resolve()
    files = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        originals = {}
        for seed in range(40):
            generator = torch.Generator().manual_seed(seed)
            tensors = {f"layer.{i}.peso_ñ": random_tensor(generator) for i in range(8)}
            save_file({n: t.contiguous() for n, t in tensors.items()}, folder / f"{seed}.safetensors")
            torch.save(tensors, folder / f"{seed}.zip.bin", pickle_protocol=2 + seed % 4)
            torch.save({"state_dict": tensors, "epoch": seed}, folder / f"{seed}.plain.bin", pickle_protocol=2 + seed % 4,
                       _use_new_zipfile_serialization=False)
            for form in ("safetensors", "zip.bin", "plain.bin"):
                originals[f"{seed}.{form}"] = tensors
        write_again(build, folder)
        for name, tensors in originals.items():
            same(load_file(folder / f"{name}.ours.safetensors"), tensors)
            files += 1

    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        config = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, vocab_size=100)
        model = BertForSequenceClassification(config)
        model.save_pretrained(folder)
        write_again_of = folder / "in"
        write_again_of.mkdir()
        os.replace(folder / "model.safetensors", write_again_of / "model.safetensors")
        write_again(build, write_again_of)
        os.replace(write_again_of / "model.safetensors.ours.safetensors", folder / "model.safetensors")
        same(BertForSequenceClassification.from_pretrained(folder).state_dict(), model.state_dict())
    print(f"weights: {files} files of PyTorch and safetensors written again and equal; transformers opens ours")


if __name__ == "__main__":
    main()
