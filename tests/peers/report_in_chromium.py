"""Opens the HTML reports of `aid metrics` and `aid eval` in headless Chromium: what it shows equals the JSON, a click and the keyboard lead from
the matrix to the files, the threshold moves, hostile file names stay text, and it prints. Skipped where there is no Chromium.

    python tests/peers/report_in_chromium.py [BUILD_FOLDER] [--keep FOLDER]      # FOLDER: leave report, screenshots, PDF there
"""

import argparse
import html
import json
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

HOSTILE = "</script><img src=x onerror=alert(1)>"

# Runs inside the page, after its own script; what it finds is read off the DOM afterwards.
PROBE = """<script>{
const found = {}, key = (target, name) => target.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
const rows = () => [...document.querySelectorAll("#matrix tr")].map(row => [...row.children].map(cell => cell.textContent));
found.matrix = rows();
found.value = document.getElementById("value").textContent;
found.files = document.getElementById("files-note").textContent;
found.images = document.querySelectorAll("#files img").length;
found.texts = [...document.querySelectorAll("#files pre")].map(pre => pre.textContent);
found.threshold = document.getElementById("threshold-text").textContent;
const slider = document.getElementById("threshold");
slider.value = 0; slider.dispatchEvent(new Event("input"));
found.thresholdZero = document.getElementById("threshold-text").textContent;
const first = document.querySelector("#matrix button[tabindex='0']");
first.focus(); key(document.activeElement, "ArrowRight");
found.focused = document.activeElement.getAttribute("aria-label");
document.activeElement.click();
found.chosen = document.getElementById("h-files").textContent;
found.chosenFiles = [...document.querySelectorAll("#files b")].map(name => name.textContent);
key(document.body, "Escape");
found.afterEscape = document.getElementById("files-note").textContent;
const view = document.getElementById("view");
view.value = 1; view.dispatchEvent(new Event("change"));
found.rawMatrix = rows();
found.scripts = document.scripts.length;
found.outside = [...document.querySelectorAll("[src],[href]")].map(e => e.getAttribute("src") || e.getAttribute("href")).filter(url => !url.startsWith("data:")).length;
found.unnamed = [...document.querySelectorAll("button, input, select")].filter(e => !e.textContent.trim() && !e.getAttribute("aria-label") && !(e.labels && e.labels.length)).length;
document.body.textContent = "PROBE" + JSON.stringify(found) + "PROBE";
}</script>"""

# What the page of `aid eval` computes by itself.
EVAL_PROBE = """<script>{
const rows = id => [...document.querySelectorAll("#" + id + " tr")].map(row => [...row.children].map(cell => cell.textContent));
const slider = document.getElementById("threshold");
slider.value = 0; slider.dispatchEvent(new Event("input"));
const found = { matrix: rows("matrix"), classes: rows("classes"), value: document.getElementById("value").textContent,
  files: document.getElementById("files-note").textContent, threshold: document.getElementById("threshold-text").textContent };
document.body.textContent = "PROBE" + JSON.stringify(found) + "PROBE";
}</script>"""


def png(width, height, shade):
    """A grey page, as PNG."""
    rows = b"".join(b"\0" + bytes([shade]) * width for _ in range(height))
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def make_case(folder, files=240):
    """A truth of texts and page images with a results table: 15 % wrong, 5 % missing."""
    rng = random.Random(1)
    kinds = ["acta", "balance_general", "contrato", "cédula", "estado_resultados", "resolución"]
    lines = ["archivo,clase,confianza"]
    for i in range(files):
        kind = kinds[i % len(kinds)]
        name = f"{kind}_{i:03}" + (".png" if i % 4 == 0 else ".txt")
        path = folder / "muestras" / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if i % 4 == 0:
            path.write_bytes(png(120, 160, 90 + i % 150))
        else:
            path.write_text(f"Documento {i} de {kind}. {HOSTILE} " + "Considerando que la norma lo dispone. " * 30)
        if rng.random() < 0.05:
            continue
        predicted = rng.choice(kinds) if rng.random() < 0.18 else kind
        if predicted != kind and rng.random() < 0.5 and kind in ("balance_general", "estado_resultados"):
            predicted = "estado_resultados" if kind == "balance_general" else "balance_general"
        score = rng.uniform(0.6, 1) if predicted == kind else rng.uniform(0.3, 0.98)
        lines.append(f"{name},{predicted},{score:.4f}")
    (folder / "results.csv").write_text("\n".join(lines) + "\n")
    mapping = {"version": 1, "unified": {"estados_financieros": ["balance_general", "estado_resultados"]}}
    (folder / "unify.json").write_text(json.dumps(mapping))


def chromium(program, profile, page, *flags):
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}", *flags]
    return subprocess.run([*command, page.as_uri()], check=True, capture_output=True, text=True, timeout=120).stdout


def probed(program, folder, page, probe):
    """What the probe finds in the page."""
    file = folder / "probed.html"
    file.write_text(page.replace("</body>", probe + "</body>"))
    dom = chromium(program, folder / "profile", file, "--dump-dom")
    return json.loads(html.unescape(re.search("PROBE(.*)PROBE", dom.split("<body")[-1], re.S)[1]))


def check_eval(build, program, folder):
    model = pathlib.Path(__file__).resolve().parents[1] / "golden/hf/bert"
    words, labels = "ley contrato norma acta resolver no haber el la y".split(), ["contrato", "ley", "resolución"]
    for i in range(90):
        path = folder / "texts" / labels[i % 3] / f"{i} & <b>.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(words[(i * 7 + k * 3) % 10] for k in range(3 + i % 5)) + HOSTILE)
    subprocess.run([build / "aid", "eval", model, folder / "texts", "--json", folder / "eval.json", "--report", folder / "eval"], check=True,
                   capture_output=True)
    metrics = json.loads((folder / "eval.json").read_text())["metrics"]
    found = probed(program, folder, (folder / "eval/report.html").read_text(), EVAL_PROBE)
    counts = {(row[0], column): 0 if cell == "·" else int(cell) for row in found["matrix"][1:]
              for column, cell in zip(found["matrix"][0][1:-1], row[1:-1])}
    for truth, row in zip(metrics["labels"], metrics["confusion"]):
        for predicted, count in zip(metrics["labels"], row):
            assert counts.get((truth, predicted), 0) == count, (truth, predicted, found["matrix"])
    assert found["value"] == f"{metrics['accuracy']:.4f}"
    right = sum(metrics["confusion"][k][k] for k in range(3))
    assert found["files"] == f"{90 - right} files" and 0 < right < 90, found["files"]
    assert f"90 of 90 files are accepted (100.0 %), {right} of them right" in found["threshold"], found["threshold"]
    for row in found["classes"][1:]:
        known = metrics["classes"][row[0]]
        assert row[1:5] == [*(f"{known[name]:.4f}" for name in ("precision", "recall", "f1")), str(known["support"])], (row, known)


def check(build, program, folder):
    make_case(folder)
    subprocess.run([build / "aid", "metrics", folder / "results.csv", "--truth", folder / "muestras", "--unify",
                    folder / "unify.json", "--json", folder / "metrics.json", "--report", folder], check=True, capture_output=True)
    numbers = json.loads((folder / "metrics.json").read_text())
    report = folder / "report.html"
    page = report.read_text()
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "") and "https://" not in page
    found = probed(program, folder, page, PROBE)
    profile = folder / "profile"

    def matrix_of(rows, confusion):
        assert rows[0][1:-1] == [*confusion["labels"], "(no prediction)"], rows[0]
        return [[0 if cell == "·" else int(cell) for cell in row[1:-1]] for row in rows[1:]]

    assert matrix_of(found["matrix"], numbers["confusion_unified"]) == numbers["confusion_unified"]["matrix"]
    assert matrix_of(found["rawMatrix"], numbers["confusion_raw"]) == numbers["confusion_raw"]["matrix"]
    assert found["value"] == f"{numbers['accuracy_unifying']:.4f}"
    wrong = numbers["n_truth"] - numbers["n_right"]["accuracy_unifying"]
    assert found["files"] == found["afterEscape"] == f"{wrong} files", found
    assert found["images"] > 0 and all(HOSTILE in text for text in found["texts"]) and found["texts"]
    right_of_scored = numbers["n_right"]["accuracy_unifying"]
    assert f"{numbers['n_matched']} of {numbers['n_truth']} files are accepted" in found["thresholdZero"]
    assert f", {right_of_scored} of them right" in found["thresholdZero"], found["thresholdZero"]
    assert found["thresholdZero"] != found["threshold"]
    labels = numbers["confusion_unified"]["labels"]
    in_cell = numbers["confusion_unified"]["matrix"][0][1]
    assert found["focused"] == f"{labels[0]} predicted as {labels[1]}: {in_cell}", found["focused"]
    assert found["chosen"] == f"{labels[0]} → {labels[1]}" and len(found["chosenFiles"]) == in_cell
    assert found["scripts"] == 3 and found["outside"] == 0 and found["unnamed"] == 0, found

    chromium(program, profile, report, f"--screenshot={folder / 'screen.png'}", "--window-size=1200,3600")
    chromium(program, profile, report, f"--screenshot={folder / 'phone.png'}", "--window-size=500,1600")
    chromium(program, profile, report, f"--print-to-pdf={folder / 'paper.pdf'}", "--no-pdf-header-footer")
    assert (folder / "paper.pdf").read_bytes().startswith(b"%PDF") and (folder / "screen.png").stat().st_size > 20000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default="build/release")
    parser.add_argument("--keep")
    options = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        sys.exit(print("skipped: no chromium here (apt-get install chromium)"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(options.keep or temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        check(pathlib.Path(options.build).resolve(), program, folder)
        check_eval(pathlib.Path(options.build).resolve(), program, folder)
    print("the report in Chromium: matrix, files, keyboard, threshold, print are as they should be")


main()
