#!/usr/bin/env python3
"""Checks what the compiler does not: layering of includes, length of files, names of machines, and that no inline function
compiled for one instruction set can be linked into code for all of them. Run by ctest; `house.py self-test` plants each fault
and sees it caught."""
import pathlib
import re
import subprocess
import sys
import tempfile

# What each folder may include, besides itself.
LAYERS = {
    "kernels": set(),
    "nn": {"kernels"},
    "tokenizer": set(),
    "io": set(),
    "train": {"nn", "kernels", "tokenizer", "io"},
    "tools": {"train", "nn", "kernels", "tokenizer", "io"},
}
SUFFIXES = {".h", ".cpp", ".cu", ".cuh", ".inc"}
LONGEST = {"kernels": 400}
LONGEST_ELSEWHERE = 600
# Folders of one machine, and hosts that packages come from: both are its owner's choice.
MACHINE = re.compile(r"(?<![\w.})/-])/(?:work|home|root|mnt|srv)/\w|\b(?:pypi|pythonhosted|(?:deb|snapshot)\.debian)\.org\b"
                     r"|archive\.ubuntu\.com|--(?:extra-)?index-url|\.pkg\.dev\b")
TEXTS = SUFFIXES | {".py", ".md", ".txt", ".cmake", ".json", ".yml", ".yaml", ".toml", ".supp", ""}


def sources(root):
    for folder in [*LAYERS, "tests", "bench"]:
        yield from sorted(path for path in (root / folder).rglob("*") if path.suffix in SUFFIXES | {".py"})


def include_faults(root):
    for path in sources(root):
        layer = path.relative_to(root).parts[0]
        if layer not in LAYERS or path.suffix not in SUFFIXES:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if not match:
                continue
            target = match[1].split("/")[0]
            if target != layer and target not in LAYERS[layer]:
                allowed = ", ".join(sorted(LAYERS[layer] | {layer}))
                yield f"{path.relative_to(root)}:{number}: includes {match[1]}; {layer}/ may include {allowed}"


def length_faults(root):
    for path in sources(root):
        if "generated" in path.name or path.suffix == ".inc":
            continue
        longest = LONGEST.get(path.relative_to(root).parts[0], LONGEST_ELSEWHERE)
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > longest:
            yield f"{path.relative_to(root)}: {lines} lines; at most {longest}"


def machine_faults(root):
    for folder in [*LAYERS, "tests", "bench", "cmake", "docs", "examples", "."]:
        for path in sorted((root / folder).glob("[!.]*" if folder == "." else "**/*")):
            name = path.relative_to(root)
            made = name.parts[:2] == ("tests", "golden") and path.suffix != ".py" or name.parts[:3] == ("tests", "fuzz", "corpus")
            if not path.is_file() or path.suffix not in TEXTS or made:
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                match = MACHINE.search(line)
                if match:
                    yield f"{name}:{number}: names a folder or package host of one machine: {match[0]}"


def leaked_symbols(objects):
    """Weak definitions in objects of one instruction set that another object may define too: the linker keeps any one of them."""
    for path in objects:
        target = re.search(r"cpu_a\w+?(?=\.dir)", str(path))
        listing = subprocess.run(["nm", "-C", "--defined-only", path], check=True, capture_output=True, text=True).stdout
        for line in listing.splitlines():
            kind, name = line.split(maxsplit=2)[1:] if not line.startswith(" ") else (None, None)
            if name and name.startswith("DW.ref."):  # a pointer that the compiler makes, the same everywhere
                continue
            if kind in ("W", "V", "u") and target and f"{target[0]}::" not in name:
                yield f"{path.name} ({target[0]}): {name} is not in the namespace of its instruction set"


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for layer in LAYERS:
            (root / layer).mkdir()
        (root / "io/a.h").write_text('#include "kernels/core/span.h"\n#include "io/b.h"\n')
        (root / "kernels/long.h").write_text("\n" * 401)
        (root / "train/long.cpp").write_text("\n" * 600)
        assert list(include_faults(root)) == ["io/a.h:1: includes kernels/core/span.h; io/ may include io"], "include"
        assert list(length_faults(root)) == ["kernels/long.h: 401 lines; at most 400"], "length"
        (root / "dev").write_text("cd build/home/x\nls " + "/home/" + "somebody\n")
        assert [fault[:6] for fault in machine_faults(root)] == ["dev:2:"], "machine"
        source, target = root / "f.cpp", root / "k_cpu_avx512.dir"
        target.mkdir()
        source.write_text("inline int leak() { return 1; }\nnamespace cpu_avx512 { inline int own() { return 2; } }\n"
                          "int use() { return leak() + cpu_avx512::own(); }\n")
        subprocess.run(["c++", "-O0", "-c", source, "-o", target / "f.o"], check=True)
        found = list(leaked_symbols([target / "f.o"]))
        assert len(found) == 1 and "leak()" in found[0], found


def main():
    command, root = sys.argv[1], pathlib.Path(__file__).resolve().parents[2]
    if command == "self-test":
        return self_test()
    checks = {
        "includes": lambda: include_faults(root),
        "lengths": lambda: length_faults(root),
        "machines": lambda: machine_faults(root),
        "symbols": lambda: leaked_symbols(sorted(pathlib.Path(sys.argv[2]).rglob("*cpu_a*.dir/**/*.o"))),
    }
    faults = checks[command]()
    found = 0
    for fault in faults:
        print(fault)
        found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
