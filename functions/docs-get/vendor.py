"""Makes the files of Redoc and Swagger UI in site/ from their pinned versions. The files are
committed, so that a build of the function needs only Go.

usage: vendor.py            writes the files, after a change of tests/local/docs.txt
       vendor.py --check    exits with status 1 if a file is not that of the pinned version

`make update-docs` installs the pinned versions in .local/docs and runs this script.
"""

import gzip
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
INSTALLED = HERE.parents[1] / ".local" / "docs"
REDOC = INSTALLED / "redoc"
SWAGGER_UI = INSTALLED / "swagger-ui-dist"

# The files of site/: the source of each, its licences, and what is replaced in it: references to
# other origins, and colours that a theme cannot change. Redoc shows no logo if the image is empty.
FILES = {
    "redoc.js.gz": (
        REDOC / "bundles" / "redoc.standalone.js",
        [REDOC / "LICENSE", REDOC / "bundles" / "redoc.standalone.js.LICENSE.txt"],
        {b'"https://cdn.redoc.ly/redoc/logo-mini.svg"': b'"data:,"',
         b"color: #0e7c86;": b"color: var(--pattern);",
         b"color: rgba(38, 50, 56, 0.7);": b"color: var(--muted);",
         b"//# sourceMappingURL=redoc.standalone.js.map": b""},
    ),
    "swagger-ui.js.gz": (
        SWAGGER_UI / "swagger-ui-bundle.js",
        [SWAGGER_UI / "LICENSE"],
        {b'filter:!1,validatorUrl:"https://validator.swagger.io/validator"': b"filter:!1,validatorUrl:null"},
    ),
    "swagger-ui.css.gz": (
        SWAGGER_UI / "swagger-ui.css",
        [SWAGGER_UI / "LICENSE"],
        {b"/*# sourceMappingURL=swagger-ui.css.map*/": b""},
    ),
}


# The Apache License requires it of a changed copy.
NOTICE = b"/*! This copy has changes, which functions/docs-get/vendor.py lists. */\n"


def content(source, licences, replacements):
    """Returns a file with its licences and its replacements."""
    if not source.exists():
        sys.exit(f"vendor: {source.name} is not installed. Run: make install-docs")
    text = source.read_bytes()
    for reference, replacement in replacements.items():
        if text.count(reference) != 1:
            sys.exit(f"vendor: expected {reference.decode()} once in {source.name}, "
                     f"found it {text.count(reference)} times. Update {__file__} for this version.")
        text = text.replace(reference, replacement)
    for licence in reversed(licences):
        words = licence.read_bytes()
        # Some licences are comments already.
        text = (words if words.lstrip().startswith(b"/*") else b"/*!\n" + words + b"*/\n") + text
    return NOTICE + text


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    for name, (source, licences, replacements) in FILES.items():
        file = HERE / "site" / name
        wanted = content(source, licences, replacements)
        # The compressed bytes depend on the version of zlib.
        if file.exists() and gzip.decompress(file.read_bytes()) == wanted:
            continue
        if arguments == ["--check"]:
            sys.exit(f"vendor: {file.relative_to(HERE.parents[1])} is not the pinned version. Run: make update-docs")
        file.write_bytes(gzip.compress(wanted, 9, mtime=0))


if __name__ == "__main__":
    main(sys.argv[1:])
