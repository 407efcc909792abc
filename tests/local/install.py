#!/usr/bin/env python3
"""Install the pinned tools of this project into .local/. Needs only Python 3 and Go. The parts
contract-lint, docspage and clients need Node.js too, and clients also needs a JDK.

usage: install.py [PART ...]     parts: venv dynamodb versitygw staticcheck (default), sam, docs, docspage, contract,
                                 contract-lint, clients
       install.py update-pins    resolve the .in files here into the requirement files

The script skips a part if its stamp contains the same pins. It verifies Python packages and Java
archives with the hashes of their lock files. npm and Go verify their packages in the same way. A
part that fails leaves no stamp, so the next run installs it again.
"""

import concurrent.futures
import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
LOCAL = HERE.parents[1] / ".local"
CLIENTS = HERE.parent / "clients"
VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
STATICCHECK = "honnef.co/go/tools/cmd/staticcheck@v0.8.2"
JARS_AT_A_TIME = 8
RESOLVER = "uv==0.13.9"  # only for update-pins
PINNED = {"requirements.in": "requirements.txt", "dynamodb-local.in": "dynamodb-local.txt", "sam.in": "sam.txt",
          "docs.in": "docs.txt", "contract.in": "contract.txt", "clients.in": "clients.txt"}
WITHOUT_DEPENDENCIES = ("docs.in",)  # only the files of these packages are used, not their code


class InstallError(Exception):
    """A part cannot be installed. The message says why and, if known, what to do."""


def fingerprint(*pins):
    """Return a hash of the pins (files or strings) and of the Python version."""
    h = hashlib.sha256(sys.version.encode())
    for pin in pins:
        h.update(pin.read_bytes() if isinstance(pin, pathlib.Path) else pin.encode())
    return h.hexdigest()


def install(name, stamp, want, make):
    """Run make and write want to the stamp file, unless the file contains want already."""
    if stamp.exists() and stamp.read_text() == want:
        return
    print(f"Installing {name} …", flush=True)
    began = time.monotonic()
    stamp.unlink(missing_ok=True)
    with progress(name, began):
        make()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(want)
    print(f"Installed {name.split(' (')[0]} in {time.monotonic() - began:.0f} s", flush=True)


@contextlib.contextmanager
def progress(name, began):
    """Print the elapsed time every ten seconds, because downloads print nothing."""
    done = threading.Event()

    def tick():
        while not done.wait(10):
            print(f"Installing {name.split(' (')[0]} … {time.monotonic() - began:.0f} s", flush=True)

    threading.Thread(target=tick, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def run(what, *argv, **options):
    """Run a command. Raise InstallError with its output if it fails."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        full = "No space left" in done.stdout or "Errno 28" in done.stdout
        output = "\n".join(line for line in done.stdout.splitlines() if not line.startswith("WARNING: Retrying"))
        hint = "the disk is full" if full else "check the network and proxy settings"
        raise InstallError(f"{what} failed ({hint}):\n{output[-3000:]}")


def virtual_environment(path, *packages):
    """Create a virtual environment with the given packages. Replace an existing one."""
    if sys.version_info < (3, 10):
        raise InstallError(f"Python 3.10 or newer is required, but {sys.executable} is {sys.version.split()[0]}")
    try:
        import ensurepip  # noqa: F401  (not in the python3 package of Debian and Ubuntu)
        import venv
    except ImportError:
        raise InstallError("Python's venv module is missing. On Debian or Ubuntu run `apt-get install python3-venv`.") from None
    shutil.rmtree(path, ignore_errors=True)
    venv.create(path, with_pip=True)
    pip = [str(path / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-compile", "--only-binary=:all:",
           "--disable-pip-version-check", *packages]
    run("pip install", *pip)


def by_hash(*files):
    """Return pip's arguments to install the packages of the files and verify their hashes."""
    return ["--no-deps", "--require-hashes"] + [argument for file in files for argument in ("-r", str(file))]


def python_venv():
    files = [HERE / "requirements.txt", HERE / "dynamodb-local.txt"]
    path = LOCAL / "venv"
    install("Python packages (about 200 MB)", path / ".stamp", fingerprint(*files, str(path)),
            lambda: virtual_environment(path, *by_hash(*files)))


def sam():
    file = HERE / "sam.txt"
    path = LOCAL / "sam-venv"
    install("SAM CLI and cfn-lint (about 235 MB)", path / ".stamp", fingerprint(file, str(path)),
            lambda: virtual_environment(path, *by_hash(file)))


def contract():
    file = HERE / "contract.txt"
    path = LOCAL / "contract-venv"
    install("schemathesis and the OpenAPI validator (about 80 MB)", path / ".stamp", fingerprint(file, str(path)),
            lambda: virtual_environment(path, *by_hash(file)))


def contract_lint():
    npm_packages("Redocly and Spectral (about 150 MB)", HERE.parent / "contract" / "lint", LOCAL / "contract-lint")


def docspage():
    npm_packages("axe-core (3 MB)", HERE.parent / "docspage", LOCAL / "docspage")


def npm_packages(name, folder, path):
    """Install the packages of a folder's package-lock.json, which has their hashes."""
    require("Node.js", "node", "npm", version=["node", "--version"], least=20)
    pins = [folder / "package.json", folder / "package-lock.json"]

    def make():
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        for pin in pins:
            shutil.copy(pin, path)
        run("npm ci", shutil.which("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=path)

    install(name, path / ".stamp", fingerprint(*pins), make)


def require(what, *commands, version, least):
    """Raise InstallError that names a missing tool, or one whose major version is too old."""
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        raise InstallError(f"{what} {least} or newer is required; not on PATH: {', '.join(missing)}")
    found = subprocess.run([*version], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout
    number = re.search(r"\d+", found)
    if number is None or int(number[0]) < least:
        raise InstallError(f"{what} {least} or newer is required; `{' '.join(version)}` prints {found.strip()}")


def docs():
    """Extract Redoc and Swagger UI from a Python package, so that no client of the npm registry is needed."""
    file = HERE / "docs.txt"
    path = LOCAL / "docs"

    def make():
        venv = LOCAL / "docs-venv"
        virtual_environment(venv, *by_hash(file))
        [found] = venv.glob("lib/python*/site-packages/drf_spectacular_sidecar/static/drf_spectacular_sidecar")
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(found, path)
        shutil.rmtree(venv)

    install("Redoc and Swagger UI (10 MB)", path / ".stamp", fingerprint(file), make)


def update_pins():
    """Resolve the .in files again. The results fit every system and Python version."""
    path = LOCAL / "pins-venv"
    install("the resolver", path / ".stamp", fingerprint(RESOLVER), lambda: virtual_environment(path, RESOLVER))
    for source, target in PINNED.items():
        run(f"the resolution of {source}", str(path / "bin" / "uv"), "pip", "compile", "--quiet", "--universal",
            "--python-version", "3.10", "--generate-hashes", "--no-header", "--no-annotate", "--upgrade",
            "--output-file", target, source, *(["--no-deps"] if source in WITHOUT_DEPENDENCIES else []), cwd=HERE)


def jars(name, lock, target):
    """Download the files of a lock file with a Maven client for Python."""
    python_venv()

    def make():
        target.mkdir(parents=True, exist_ok=True)
        run(f"the download of {name}", str(LOCAL / "venv" / "bin" / "python"), __file__, "jars", str(lock), str(target))

    install(name, target / ".stamp", fingerprint(lock), make)


def dynamodb():
    jars("DynamoDB Local (50 MB)", HERE / "dynamodb-local.lock", LOCAL / "dynamodb")


def fetch_jars(lock, target):
    """Download missing files and verify all. Runs in the virtual environment."""
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
            except Exception as error:  # the client raises many types; try again
                print(f"{coordinate}: {error}", flush=True)
                continue
            got = hashlib.sha256(part.read_bytes()).hexdigest()
            if got != want:
                raise SystemExit(f"{coordinate}: SHA-256 is {got}, want {want}")
            part.rename(file)
        if not file.exists():
            raise SystemExit(f"{coordinate}: download failed")

    lines = [line for line in lock.read_text().splitlines() if line.strip()]
    with concurrent.futures.ThreadPoolExecutor(JARS_AT_A_TIME) as pool:
        list(pool.map(fetch, lines))


def go_command():
    """Return the path of the go command."""
    go = shutil.which("go")
    if go is None:
        raise InstallError("Go is not on PATH. Install it from https://go.dev/dl.")
    return go


def go_tool(name, package):
    """Build a Go command into .local/bin. The package path contains its version."""
    go = go_command()
    env = dict(os.environ, GOBIN=str(LOCAL / "bin"), CGO_ENABLED="0")
    binary = LOCAL / "bin" / name

    def make():
        run(f"go install {package}", go, "install", package, env=env, cwd=HERE)

    stamp = LOCAL / "bin" / f".{name}.stamp"
    if not binary.exists():
        stamp.unlink(missing_ok=True)
    install(f"{name} (the first build takes minutes)", stamp, fingerprint(package), make)


def clients():
    """Install the generators of tests/clients, and the libraries of the generated clients."""
    require("A JDK", "java", "javac", version=["javac", "-version"], least=17)
    npm_packages("the TypeScript generator (60 MB)", CLIENTS / "typescript", LOCAL / "clients-npm")
    requirements = HERE / "clients.txt"
    venv = LOCAL / "clients-venv"
    install("the Java and Python generators (about 150 MB)", venv / ".stamp", fingerprint(requirements, str(venv)),
            lambda: virtual_environment(venv, *by_hash(requirements)))
    jars("the libraries of the Java client (5 MB)", CLIENTS / "java" / "jars.lock", LOCAL / "clients-jars")
    go_generator()


def go_generator():
    """Build oapi-codegen, and download what its clients import. go.sum has the hashes."""
    module = CLIENTS / "go"
    binary = LOCAL / "bin" / "oapi-codegen"
    stamp = LOCAL / "bin" / ".oapi-codegen.stamp"

    def make():
        go = go_command()
        run("go mod download", go, "mod", "download", cwd=module)
        run("the build of oapi-codegen", go, "install", "tool", env=dict(os.environ, GOBIN=str(binary.parent), CGO_ENABLED="0"), cwd=module)

    if not binary.exists():
        stamp.unlink(missing_ok=True)
    install("oapi-codegen", stamp, fingerprint(module / "go.mod", module / "go.sum"), make)


PARTS = {
    "venv": python_venv,
    "dynamodb": dynamodb,
    "versitygw": lambda: go_tool("versitygw", VERSITYGW),
    "staticcheck": lambda: go_tool("staticcheck", STATICCHECK),
    "docs": docs,
    "docspage": docspage,
    "sam": sam,
    "contract": contract,
    "contract-lint": contract_lint,
    "clients": clients,
    "update-pins": update_pins,
}
OPTIONAL = ("docs", "docspage", "sam", "contract", "contract-lint", "clients", "update-pins")


def main(arguments):
    if arguments[:1] == ["jars"]:
        fetch_jars(pathlib.Path(arguments[1]), pathlib.Path(arguments[2]))
        return
    unknown = [a for a in arguments if a not in PARTS]
    if unknown:
        sys.exit(f"install: unknown part {' '.join(unknown)}; the parts are {' '.join(PARTS)}")
    LOCAL.mkdir(exist_ok=True)
    with open(LOCAL / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another make installs; wait, then find its stamps
            print("Waiting for another make that installs tools …", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for part in arguments or [p for p in PARTS if p not in OPTIONAL]:
            try:
                PARTS[part]()
            except InstallError as error:
                sys.exit(f"install: {error}")
            except OSError as error:  # a full disk or a read-only folder
                sys.exit(f"install: {error}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("\ninstall: interrupted; the next run installs this part again")
