"""Makes site/redoc.js.gz, the script that renders the OpenAPI document, from the pinned version of
Redoc. The file is committed, so that a build of the function needs only Go.

usage: redoc.py            writes the file, after a change of tests/local/redoc.txt
       redoc.py --check    exits with status 1 if the file is not that of the pinned version

`make update-redoc` installs the pinned version in .local/redoc and runs this script.
"""

import gzip
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
REDOC = HERE.parents[1] / ".local" / "redoc"
FILE = HERE / "site" / "redoc.js.gz"

# The only resource that Redoc loads from another origin. Redoc shows no logo if the image is empty.
LOGO = b'"https://cdn.redoc.ly/redoc/logo-mini.svg"'
SOURCE_MAP = b"//# sourceMappingURL=redoc.standalone.js.map"


def script():
    """Returns the Redoc script with its licences and without its references to other origins."""
    bundle = REDOC / "bundles" / "redoc.standalone.js"
    if not bundle.exists():
        sys.exit("redoc: Redoc is not installed. Run: make install-redoc")
    text = bundle.read_bytes()
    for reference, replacement in ((LOGO, b'"data:,"'), (SOURCE_MAP, b"")):
        if text.count(reference) != 1:
            sys.exit(f"redoc: expected {reference.decode()} once in the Redoc script, "
                     f"found it {text.count(reference)} times. Update {__file__} for this version.")
        text = text.replace(reference, replacement)
    licence = b"/*!\n" + (REDOC / "LICENSE").read_bytes() + b"*/\n"
    return licence + bundle.with_name(bundle.name + ".LICENSE.txt").read_bytes() + text


def main(arguments):
    wanted = script()
    # The compressed bytes depend on the version of zlib.
    current = FILE.exists() and gzip.decompress(FILE.read_bytes()) == wanted
    if arguments == ["--check"]:
        if not current:
            sys.exit(f"redoc: {FILE.relative_to(HERE.parents[1])} is not the pinned version. Run: make update-redoc")
    elif arguments:
        sys.exit(__doc__)
    elif not current:
        FILE.write_bytes(gzip.compress(wanted, 9, mtime=0))


if __name__ == "__main__":
    main(sys.argv[1:])
