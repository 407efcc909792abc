#!/usr/bin/env python3
"""Install the pinned tools of this project into .local/, with nothing but Python 3 and Go.

usage: install.py [PART ...]     parts: venv dynamodb versitygw staticcheck redoc (the default), and sam and contract
       install.py pins           renew the requirement files here from the .in files

Every part is skipped when its stamp says that it was made from the same pins. Python packages and the files of
DynamoDB Local are checked against the hashes in this folder, Go tools against Go's checksum database. A part that
fails leaves no stamp, so the next run makes it again.
"""

import concurrent.futures
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
LOCAL = HERE.parents[1] / ".local"
VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
STATICCHECK = "honnef.co/go/tools/cmd/staticcheck@v0.8.2"
JARS_AT_A_TIME = 8
RESOLVER = "uv==0.13.9"  # for pins alone
PINNED = {"requirements.in": "requirements.txt", "dynamodb-local.in": "dynamodb-local.txt", "sam.in": "sam.txt",
          "redoc.in": "redoc.txt", "contract.in": "contract.txt"}
ALONE = ("redoc.in",)  # what it names without what that would need: its files are used, its code is not


class Missing(Exception):
    """What the developer has to do before the part can be installed."""


def fingerprint(*pins):
    """A hash of the pins (files or strings) and of what else decides whether an installation still fits."""
    h = hashlib.sha256(sys.version.encode())
    for pin in pins:
        h.update(pin.read_bytes() if isinstance(pin, pathlib.Path) else pin.encode())
    return h.hexdigest()


def once(name, stamp, want, make):
    """Run make unless the stamp file holds want already."""
    if stamp.exists() and stamp.read_text() == want:
        return
    print(f"install: {name} ...", flush=True)
    began = time.monotonic()
    stamp.unlink(missing_ok=True)
    with still_at_it(name, began):
        make()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(want)
    print(f"install: {name} done in {time.monotonic() - began:.0f} s", flush=True)


@contextlib.contextmanager
def still_at_it(name, began):
    """Say every ten seconds that something goes on: there is nothing else to see of a download."""
    done = threading.Event()

    def say():
        while not done.wait(10):
            print(f"install: {name.split(' (')[0]}: still at it, {time.monotonic() - began:.0f} s", flush=True)

    threading.Thread(target=say, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def run(what, *argv, **options):
    """Run a command; its output is shown only when it fails."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        full = "No space left" in done.stdout or "Errno 28" in done.stdout
        said = "\n".join(line for line in done.stdout.splitlines() if not line.startswith("WARNING: Retrying"))
        raise Missing(f"{what} failed ({'the disk is full' if full else 'is the network there, and a proxy set that it may need?'}):\n{said[-3000:]}")


def virtual_environment(path, *packages):
    """Make a fresh virtual environment with the given packages."""
    if sys.version_info < (3, 10):
        raise Missing(f"Python 3.10 or later is needed; {sys.executable} is {sys.version.split()[0]}")
    try:
        import ensurepip  # noqa: F401  (Debian and Ubuntu leave it out of python3)
        import venv
    except ImportError:
        raise Missing("Python's venv module is not installed: on Debian or Ubuntu `apt-get install python3-venv`") from None
    shutil.rmtree(path, ignore_errors=True)
    venv.create(path, with_pip=True)
    pip = [str(path / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-compile", "--only-binary=:all:",
           "--disable-pip-version-check", *packages]
    run("pip install", *pip)


def by_hash(*files):
    """Arguments for pip: exactly what the requirement files name, which is complete, each file of it checked."""
    return ["--no-deps", "--require-hashes"] + [argument for file in files for argument in ("-r", str(file))]


def python_venv():
    files = [HERE / "requirements.txt", HERE / "dynamodb-local.txt"]
    path = LOCAL / "venv"
    once("Python packages (about 200 MB)", path / ".stamp", fingerprint(*files, str(path)),
         lambda: virtual_environment(path, *by_hash(*files)))


def sam():
    file = HERE / "sam.txt"
    path = LOCAL / "sam-venv"

    once("SAM CLI and cfn-lint (about 235 MB)", path / ".stamp", fingerprint(file, str(path)),
         lambda: virtual_environment(path, *by_hash(file)))


def contract():
    file = HERE / "contract.txt"
    path = LOCAL / "contract-venv"
    once("schemathesis and the validator of OpenAPI documents (about 80 MB)", path / ".stamp", fingerprint(file, str(path)),
         lambda: virtual_environment(path, *by_hash(file)))


def redoc():
    """Redoc, out of a Python package that carries it: a machine that builds this has no other registry's client."""
    file = HERE / "redoc.txt"
    path = LOCAL / "redoc"

    def make():
        venv = LOCAL / "redoc-venv"
        virtual_environment(venv, *by_hash(file))
        [found] = venv.glob("lib/python*/site-packages/drf_spectacular_sidecar/static/drf_spectacular_sidecar/redoc")
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(found, path)
        shutil.rmtree(venv)

    once("Redoc (3 MB)", path / ".stamp", fingerprint(file), make)


def pins():
    """Resolve the .in files anew, for every system and Python at once."""
    path = LOCAL / "pins-venv"
    once("the resolver", path / ".stamp", fingerprint(RESOLVER), lambda: virtual_environment(path, RESOLVER))
    for source, target in PINNED.items():
        run(f"resolving {source}", str(path / "bin" / "uv"), "pip", "compile", "--quiet", "--universal",
            "--python-version", "3.10", "--generate-hashes", "--no-header", "--no-annotate", "--upgrade",
            "--output-file", target, source, *(["--no-deps"] if source in ALONE else []), cwd=HERE)


def dynamodb():
    """DynamoDB Local: the files of its lock, fetched by the Maven client that the virtual environment holds."""
    python_venv()
    lock = HERE / "dynamodb-local.lock"
    target = LOCAL / "dynamodb"

    def make():
        target.mkdir(parents=True, exist_ok=True)
        run("fetching DynamoDB Local", str(LOCAL / "venv" / "bin" / "python"), __file__, "jars", str(lock), str(target))

    once("DynamoDB Local (50 MB)", target / ".stamp", fingerprint(lock), make)


def fetch_jars(lock, target):
    """Runs inside the virtual environment: fetch what is missing, verify everything."""
    from maven_artifact import Artifact, Downloader

    def fetch(line):
        want, coordinate = line.split()
        artifact = Artifact.parse(coordinate)
        file = target / f"{artifact.artifact_id}-{artifact.version}.{artifact.extension}"
        for _ in range(3):
            if file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() == want:
                return
            file.unlink(missing_ok=True)
            part = file.with_name(file.name + ".part")
            part.unlink(missing_ok=True)
            try:
                Downloader().download(artifact, str(part))
            except Exception as error:  # the client's own exceptions are of many kinds; the next attempt decides
                print(f"{coordinate}: {error}", flush=True)
                continue
            got = hashlib.sha256(part.read_bytes()).hexdigest()
            if got != want:
                raise SystemExit(f"{coordinate}: sha256 is {got}, the lock says {want}")
            part.rename(file)
        if not file.exists():
            raise SystemExit(f"{coordinate}: could not be fetched")

    lines = [line for line in lock.read_text().splitlines() if line.strip()]
    with concurrent.futures.ThreadPoolExecutor(JARS_AT_A_TIME) as pool:
        list(pool.map(fetch, lines))


def go_tool(name, package):
    """Build a Go command into .local/bin; its version is in the package path."""
    go = shutil.which("go")
    if go is None:
        raise Missing("Go is not installed, or not on PATH: see https://go.dev/dl")
    env = dict(os.environ, GOBIN=str(LOCAL / "bin"), CGO_ENABLED="0")
    binary = LOCAL / "bin" / name

    def make():
        run(f"go install {package}", go, "install", package, env=env, cwd=HERE)

    stamp = LOCAL / "bin" / f".{name}.stamp"
    if not binary.exists():
        stamp.unlink(missing_ok=True)
    once(f"{name} (the first build takes minutes)", stamp, fingerprint(package), make)


PARTS = {
    "venv": python_venv,
    "dynamodb": dynamodb,
    "versitygw": lambda: go_tool("versitygw", VERSITYGW),
    "staticcheck": lambda: go_tool("staticcheck", STATICCHECK),
    "redoc": redoc,
    "sam": sam,
    "contract": contract,
    "pins": pins,
}
OPTIONAL = ("sam", "contract", "pins")


def main(arguments):
    if arguments[:1] == ["jars"]:
        fetch_jars(pathlib.Path(arguments[1]), pathlib.Path(arguments[2]))
        return
    unknown = [a for a in arguments if a not in PARTS]
    if unknown:
        sys.exit(f"install: no such part: {' '.join(unknown)}; there are {' '.join(PARTS)}")
    LOCAL.mkdir(exist_ok=True)
    with open(LOCAL / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # two makes at once: the second waits, then finds the stamps
            print("install: waiting for another make that is installing", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for part in arguments or [p for p in PARTS if p not in OPTIONAL]:
            try:
                PARTS[part]()
            except Missing as missing:
                sys.exit(f"install: {missing}")
            except OSError as error:  # a full disk, a folder that cannot be written
                sys.exit(f"install: {error}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("\ninstall: interrupted; the next run begins this part anew")
