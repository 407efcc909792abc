"""Adds the site to the deployment package of docs-get: the page, the OpenAPI document, the Redoc
script that renders the document, and the document of each API. Each file is also stored compressed,
except the documents of the APIs, in which docs-get inserts the server of its stack.

usage: pack.py FOLDER      writes the files to FOLDER/site; FOLDER is dist/docs-get

The Redoc version is the pinned one that install.py installs in .local/redoc. Files that are up to
date are not rewritten.
"""

import gzip
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
REDOC = ROOT / ".local" / "redoc"

# The only resource that Redoc loads from another origin. Redoc shows no logo if the image is empty.
LOGO = b'"https://cdn.redoc.ly/redoc/logo-mini.svg"'
SOURCE_MAP = b"//# sourceMappingURL=redoc.standalone.js.map"


def redoc():
    """Returns the Redoc script with its licences and without its references to other origins."""
    bundle = REDOC / "bundles" / "redoc.standalone.js"
    if not bundle.exists():
        sys.exit("pack: Redoc is not installed. Run: make install")
    script = bundle.read_bytes()
    for reference, replacement in ((LOGO, b'"data:,"'), (SOURCE_MAP, b"")):
        if script.count(reference) != 1:
            sys.exit(f"pack: expected {reference.decode()} once in the Redoc script, "
                     f"found it {script.count(reference)} times. Update {__file__} for this version.")
        script = script.replace(reference, replacement)
    licence = b"/*!\n" + (REDOC / "LICENSE").read_bytes() + b"*/\n"
    return licence + bundle.with_name(bundle.name + ".LICENSE.txt").read_bytes() + script


def cuts():
    """Returns the documents of the APIs by file name, without their servers."""
    # The command runs on this machine, also if the functions are built for another one.
    environment = {name: value for name, value in os.environ.items() if name not in ("GOOS", "GOARCH")}
    with tempfile.TemporaryDirectory() as folder:
        command = ["go", "run", "./tests/contract/cut", "-deployed", folder]
        if subprocess.run(command, cwd=ROOT, env=environment).returncode != 0:
            sys.exit("pack: cannot cut the documents of the APIs from shared/httpapi/openapi.yaml")
        return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


def main(folder):
    """Writes the site to folder and deletes files that do not belong to it."""
    site = pathlib.Path(folder) / "site"
    site.mkdir(parents=True, exist_ok=True)
    files = {
        "index.html": (HERE / "site" / "index.html").read_bytes(),
        "openapi.yaml": (ROOT / "shared" / "httpapi" / "openapi.yaml").read_bytes(),
        "redoc.js": redoc(),
    }
    wanted = cuts()
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
