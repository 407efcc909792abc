"""Puts what docs-get serves beside its bootstrap: the page, the OpenAPI document, and Redoc to show it, each also compressed.

usage: pack.py FOLDER      FOLDER is dist/docs-get; the files go to FOLDER/site

Redoc is the pinned one that install.py has put into .local/redoc. A file that is there already as it should be is left alone.
"""

import gzip
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
REDOC = ROOT / ".local" / "redoc"

# The one thing that Redoc would fetch from elsewhere. Where an image cannot be had it shows none.
LOGO = b'"https://cdn.redoc.ly/redoc/logo-mini.svg"'
SOURCE_MAP = b"//# sourceMappingURL=redoc.standalone.js.map"


def redoc():
    """Redoc's script with its licences, and without what it would ask others for."""
    bundle = REDOC / "bundles" / "redoc.standalone.js"
    if not bundle.exists():
        sys.exit("pack: Redoc is not installed: run make install")
    script = bundle.read_bytes()
    for what, instead in ((LOGO, b'"data:,"'), (SOURCE_MAP, b"")):
        if script.count(what) != 1:
            sys.exit(f"pack: this Redoc has {what.decode()} {script.count(what)} times, not once; see {__file__}")
        script = script.replace(what, instead)
    licence = b"/*!\n" + (REDOC / "LICENSE").read_bytes() + b"*/\n"
    return licence + bundle.with_name(bundle.name + ".LICENSE.txt").read_bytes() + script


def main(folder):
    site = pathlib.Path(folder) / "site"
    site.mkdir(parents=True, exist_ok=True)
    files = {
        "index.html": (HERE / "site" / "index.html").read_bytes(),
        "openapi.yaml": (ROOT / "shared" / "httpapi" / "openapi.yaml").read_bytes(),
        "redoc.js": redoc(),
    }
    wanted = {}
    for name, content in files.items():
        wanted[name] = content
        wanted[name + ".gz"] = gzip.compress(content, 9, mtime=0)
    for path in site.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        path = site / name
        if not path.exists() or path.read_bytes() != content:
            part = path.with_name(name + ".part")
            part.write_bytes(content)
            part.rename(path)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
