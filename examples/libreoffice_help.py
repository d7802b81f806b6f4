#!/usr/bin/env python3
"""Makes a data set of Spanish texts out of LibreOffice's help, in the original layout:

    OUT/clasificacion/text_model/data_v1/text_dataset/{train,val}/APPLICATION/PAGE.txt
    OUT/clasificacion/text_model/data_v1/ground_truth/muestras/APPLICATION/PAGE.txt

The pages come from the Debian and Ubuntu package libreoffice-help-es (MPL-2.0), which is downloaded and unpacked beside OUT
and not installed; the typology of a page is the application that it belongs to. Which part a page goes to depends on its own
path alone (15 % validation, 15 % ground truth), so the split is the same on every machine with the same package.

Example: examples/libreoffice_help.py .demo/data
"""
import argparse
import hashlib
import html.parser
import pathlib
import shutil
import subprocess
import sys

PACKAGE = "libreoffice-help-es"
PAGES = "usr/share/libreoffice/help/es/text"
APPLICATIONS = ["swriter", "scalc", "simpress", "sdraw", "smath", "sbasic", "sdatabase"]
SHORTEST = 80  # characters; pages below it are bare redirections


class PageText(html.parser.HTMLParser):
    """The text of the page's own area, one line per block; menus, scripts and the index stand outside of it."""

    BLOCKS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "li", "td", "th", "pre", "tr", "br", "div"}
    VOID = {"meta", "link", "img", "input", "br", "hr", "base", "source", "col", "area", "wbr", "embed", "track"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.depth = 0  # of open elements since the page's area began; 0: outside
        self.hidden = 0
        self.parts = []

    def handle_starttag(self, tag, attributes):
        if self.depth == 0:
            if ("id", "DisplayArea") in attributes:
                self.depth = 1
            return
        if tag not in self.VOID:
            self.depth += 1
        if tag in ("script", "style"):
            self.hidden += 1
        if tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag):
        if self.depth == 0 or tag in self.VOID:
            return
        self.depth -= 1
        if tag in ("script", "style"):
            self.hidden -= 1
        if tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data):
        if self.depth > 0 and self.hidden == 0:
            self.parts.append(data)

    def text(self):
        lines = (" ".join(line.split()) for line in "".join(self.parts).split("\n"))
        return "\n".join(line for line in lines if line) + "\n"


def unpack(folder):
    """Downloads the package into `folder` and unpacks it there; keeps what is there already. Returns the folder of pages."""
    pages = folder / "files" / PAGES
    if pages.is_dir():
        return pages
    if shutil.which("apt-get") is None:
        sys.exit(f"apt-get: not found; unpack {PACKAGE} yourself into {folder / 'files'} (Debian's or Ubuntu's package)")
    folder.mkdir(parents=True, exist_ok=True)
    print(f"downloading {PACKAGE}", file=sys.stderr)
    command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", PACKAGE]
    if subprocess.run(command, cwd=folder).returncode != 0:
        sys.exit(f"could not download {PACKAGE}: run `apt-get update` first, or check that apt has a source for it")
    package = next(folder.glob(f"{PACKAGE}_*.deb"))
    subprocess.run(["dpkg-deb", "-x", package, folder / "partial"], check=True)
    (folder / "partial").rename(folder / "files")
    return pages


def part_of(path):
    draw = int(hashlib.sha256(path.encode()).hexdigest()[:8], 16) % 100
    return "ground_truth/muestras" if draw < 15 else "text_dataset/val" if draw < 30 else "text_dataset/train"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--package-dir", type=pathlib.Path, help="where the package is kept; default: OUT/../libreoffice_help")
    arguments = parser.parse_args()
    pages = unpack(arguments.package_dir or arguments.out.parent / "libreoffice_help")
    root = arguments.out / "clasificacion/text_model/data_v1"
    if root.exists():
        shutil.rmtree(root)
    counts = {}
    for application in APPLICATIONS:
        for page in sorted((pages / application).rglob("*.html")):
            reader = PageText()
            reader.feed(page.read_text(encoding="utf-8"))
            text = reader.text()
            if len(text) < SHORTEST:
                continue
            name = "_".join(page.relative_to(pages / application).with_suffix(".txt").parts)
            part = part_of(f"{application}/{name}")
            target = root / part / application / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            counts[part] = counts.get(part, 0) + 1
    print(", ".join(f"{count} pages in {part}" for part, count in sorted(counts.items())), file=sys.stderr)
    print(root)


if __name__ == "__main__":
    main()
