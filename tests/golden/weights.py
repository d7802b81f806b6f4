"""Writes tests/golden/weights/: small files of weights as safetensors, torch.save and transformers write them, and
expected.json with the tensors' bytes. Made with torch 2.15.0, safetensors 0.8.0.

    python tests/golden/weights.py
"""
import collections
import io
import json
import pathlib
import pickle
import zipfile

import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).parent / "weights"
DTYPES = {
    torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}
expected = {}


def expect(file, tensors):
    expected[file] = {
        name: {
            "dtype": DTYPES[t.dtype],
            "shape": list(t.shape),
            "hex": t.detach().reshape(-1).clone(memory_format=torch.contiguous_format).view(torch.uint8).numpy().tobytes().hex() if t.numel() else "",
        }
        for name, t in tensors.items()
    }


def every_dtype():
    values = torch.tensor([[-2.5, 0.0, 1.0], [3.0, 100.25, -1.0]])
    tensors = {f"t.{name.lower()}": (values.abs() if name == "U8" else values).to(dtype) for dtype, name in DTYPES.items()}
    tensors["scalar"] = torch.tensor(7.5)
    tensors["empty"] = torch.zeros(0, 3)
    tensors["ñandú \"quoted\""] = torch.tensor([1.0])
    return tensors


def views():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    cube = torch.arange(24, dtype=torch.int64).reshape(2, 3, 4)
    return {
        "whole": base,
        "tied": base,
        "transposed": base.t(),
        "rows": base[1:3],
        "columns": base[:, 2:5],
        "every_other": base.flatten()[1::2],
        "permuted": cube.permute(2, 0, 1),
        "column": base[:, 3:4],
        "one_by_one": base[2:3, 4:5].t(),
    }


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def save_raw_zip(file, pickled, name="archive"):
    with zipfile.ZipFile(OUT / file, "w", zipfile.ZIP_STORED) as z:
        z.writestr(zipfile.ZipInfo(f"{name}/data.pkl"), pickled)
        z.writestr(zipfile.ZipInfo(f"{name}/version"), "3\n")


def rezip(file, source, compression=zipfile.ZIP_STORED, **changes):
    """The zip file `source` with other bytes for the entries named in `changes` (None: left out), each a function of them."""
    with zipfile.ZipFile(OUT / source) as old, zipfile.ZipFile(OUT / file, "w", compression) as new:
        for entry in old.namelist():
            key = entry.split("/")[-1].replace(".", "_")
            content = changes.get(key, lambda b: b)(old.read(entry))
            if content is not None:
                new.writestr(zipfile.ZipInfo(entry), content, compression)


def main():
    OUT.mkdir(exist_ok=True)
    torch.manual_seed(0)

    tensors = every_dtype()
    save_file(tensors, OUT / "dtypes.safetensors", {"format": "pt"})
    expect("dtypes.safetensors", tensors)
    torch.save(tensors, OUT / "dtypes_zip.bin")
    expect("dtypes_zip.bin", tensors)
    torch.save(tensors, OUT / "dtypes_plain.bin", _use_new_zipfile_serialization=False)
    expect("dtypes_plain.bin", tensors)

    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    state = module.state_dict()  # an OrderedDict with _metadata
    for protocol in (2, 4, 5):
        for form in ("zip", "plain"):
            file = f"module_{form}_protocol{protocol}.bin"
            torch.save(state, OUT / file, pickle_protocol=protocol, _use_new_zipfile_serialization=form == "zip")
            expect(file, state)
    for key in ("state_dict", "model", "model_state_dict"):
        torch.save({key: state, "epoch": 3, "best": 0.75, "done": False, "note": None, "steps": [1, 2 ** 40]}, OUT / f"nested_{key}.bin")
        expect(f"nested_{key}.bin", state)
    torch.save({"state_dict": state, "model": state}, OUT / "ambiguous.bin")
    torch.save({"epoch": 3}, OUT / "no_tensors.bin")
    torch.save(torch.zeros(3), OUT / "only_a_tensor.bin")

    torch.save(views(), OUT / "views_zip.bin")
    expect("views_zip.bin", views())
    torch.save(views(), OUT / "views_plain.bin", _use_new_zipfile_serialization=False)
    expect("views_plain.bin", views())
    torch.save({"expanded": torch.ones(1, 3).expand(4, 3)}, OUT / "expanded.bin")
    torch.save({"w": torch.nn.Parameter(torch.zeros(2))}, OUT / "parameter.bin")
    torch.save({"w": torch._neg_view(torch.ones(2))}, OUT / "negated.bin")
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(OUT / "torchscript.pt"))

    for shard, name in enumerate(("a", "b"), 1):
        tensor = {name: torch.full((2,), float(shard))}
        save_file(tensor, OUT / f"model-0000{shard}-of-00002.safetensors", {"format": "pt"})
        torch.save(tensor, OUT / f"pytorch_model-0000{shard}-of-00002.bin")
    for stem, ending in (("model", "safetensors"), ("pytorch_model", "bin")):
        index = {"metadata": {"total_size": 16}, "weight_map": {n: f"{stem}-0000{i}-of-00002.{ending}" for i, n in enumerate("ab", 1)}}
        (OUT / f"{stem}.{ending}.index.json").write_text(json.dumps(index))
        expect(f"{stem}.{ending}.index.json", {"a": torch.full((2,), 1.0), "b": torch.full((2,), 2.0)})

    import os
    evil = {"w": torch.zeros(2), "x": Call(os.system, "touch /tmp/owned")}
    torch.save(evil, OUT / "evil_zip.bin")
    torch.save(evil, OUT / "evil_plain.bin", _use_new_zipfile_serialization=False)
    torch.save({"x": Call(eval, "1+1")}, OUT / "evil_protocol4.bin", pickle_protocol=4)
    # INST calls without GLOBAL and REDUCE, NEWOBJ makes any class, BUILD sets attributes.
    save_raw_zip("evil_protocol0.bin", b"(S'touch /tmp/owned'\nios\nsystem\n.")
    save_raw_zip("evil_inst.bin", b"\x80\x02(ios\nsystem\n.")
    save_raw_zip("evil_newobj.bin", b"\x80\x02ccollections\nOrderedDict\n)\x81.")
    save_raw_zip("evil_build.bin", b"\x80\x02]}X\x01\x00\x00\x00aK\x01sb.")
    save_raw_zip("evil_ordered_dict.bin", b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.")
    save_raw_zip("evil_storage_call.bin", b"\x80\x02ctorch\nFloatStorage\nK\x01\x85R.")
    save_raw_zip("recursive.bin", b"\x80\x02]q\x00h\x00a.")
    # What Python 2 wrote: OrderedDict(([[key, value], ...],)).
    save_raw_zip("python2_ordered_dict.bin", b"\x80\x02ccollections\nOrderedDict\n](](U\x01aK\x01ee\x85R.")

    torch.save({"w": torch.arange(4, dtype=torch.float32)}, OUT / "four.bin")
    expect("four.bin", {"w": torch.arange(4, dtype=torch.float32)})
    at_zero = b"K\x00K\x04\x85"  # offset 0, shape (4,)

    def patch(old, new):
        def apply(content):
            assert content.count(old) == 1, content
            return content.replace(old, new)

        return apply

    rezip("bad_compressed.bin", "four.bin", zipfile.ZIP_DEFLATED)
    rezip("bad_big_endian.bin", "four.bin", byteorder=lambda _: b"big")
    rezip("bad_short_storage.bin", "four.bin", **{"0": lambda b: b[:-1]})
    rezip("bad_missing_storage.bin", "four.bin", **{"0": lambda _: None})
    rezip("bad_offset.bin", "four.bin", data_pkl=patch(at_zero, b"K\x01K\x04\x85"))
    rezip("bad_negative_offset.bin", "four.bin", data_pkl=patch(at_zero, b"J\xff\xff\xff\xffK\x04\x85"))
    rezip("bad_huge_offset.bin", "four.bin", data_pkl=patch(at_zero, b"\x8a\x08" + b"\xff" * 7 + b"\x7fK\x04\x85"))
    rezip("bad_huge_shape.bin", "four.bin", data_pkl=patch(at_zero, b"K\x00\x8a\x08" + b"\xff" * 7 + b"\x7f\x85"))
    rezip("bad_long_offset.bin", "four.bin", data_pkl=patch(at_zero, b"\x8a\x09" + b"\x01" * 9 + b"K\x04\x85"))
    rezip("bad_dimensions.bin", "four.bin", data_pkl=patch(at_zero, b"K\x00K\x04K\x01\x86"))
    rezip("bad_protocol.bin", "four.bin", data_pkl=patch(b"\x80\x02", b"\x80\x09"))
    claims = bytearray((OUT / "four.bin").read_bytes())
    record = claims.index(b"PK\x01\x02", claims.index(b"four/data/0"))  # the central directory's
    while claims[record + 46:].find(b"four/data/0") != 0:
        record = claims.index(b"PK\x01\x02", record + 1)
    claims[record + 20:record + 28] = b"\xff\xff\xff\x7f" * 2
    (OUT / "bad_claimed_size.bin").write_bytes(claims)
    torch.save({"w": torch.arange(4, dtype=torch.float32)}, OUT / "four_plain.bin", _use_new_zipfile_serialization=False)
    plain = (OUT / "four_plain.bin").read_bytes()
    (OUT / "bad_big_endian_plain.bin").write_bytes(patch(b"little_endianq\x02\x88", b"little_endianq\x02\x89")(plain))
    (OUT / "four_plain.bin").unlink()

    with open(OUT / "expected.json", "w") as f:
        json.dump(expected, f, indent=0, sort_keys=True, ensure_ascii=False)
        f.write("\n")


if __name__ == "__main__":
    main()
