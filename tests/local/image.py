"""Make the container image that `sam local` runs the functions in, without pulling one.

usage: image.py ARCH     (x86_64 or arm64; with the Python of .local/sam-venv)

SAM makes its image of AWS's base image and its own Runtime Interface Emulator. The functions are static binaries and need
nothing of the base image but a folder for temporary files, certificates and a user, so this one holds the emulator and those:
10 MB, no registry. It has a name of its own, and SAM is told it with --invoke-image; images of AWS are left alone.
"""

import io
import pathlib
import sys
import tarfile

import certifi
import docker
import samcli

NAME = "instance-api-lambda"


def entry(name, mode, content=None):
    info = tarfile.TarInfo(name)
    info.mode = mode
    if content is None:
        info.type = tarfile.DIRTYPE
        return info, None
    info.size = len(content)
    return info, io.BytesIO(content)


def file_system(arch):
    """A tar of the whole file system."""
    emulator = pathlib.Path(samcli.__file__).parent / "local" / "rapid" / f"aws-lambda-rie-{arch}"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for what in (
                entry("var/rapid", 0o755), entry("var/task", 0o755), entry("var/runtime", 0o755), entry("opt", 0o755), entry("tmp", 0o1777),
                entry("etc/passwd", 0o644, b"root:x:0:0:root:/:/\n"),
                entry("etc/ssl/certs/ca-certificates.crt", 0o644, pathlib.Path(certifi.where()).read_bytes()),
                entry("var/rapid/aws-lambda-rie", 0o755, emulator.read_bytes())):
            tar.addfile(*what)
    return out.getvalue()


def main(arch):
    try:
        engine = docker.from_env()
        engine.ping()
    except docker.errors.DockerException as error:
        sys.exit(f"image: no container engine answers ({error}): start Docker, or set DOCKER_HOST")
    # As SAM names what it makes of a base image called NAME: it takes it as it is, under --skip-pull-image.
    changes = ["WORKDIR /var/task", f"LABEL emulator={samcli.__version__}"]
    try:
        if engine.images.get(f"{NAME}:rapid-{arch}").labels.get("emulator") == samcli.__version__:
            return
    except docker.errors.ImageNotFound:
        pass
    engine.api.import_image_from_data(file_system(arch), repository=NAME, tag=f"rapid-{arch}", changes=changes)
    print(f"image: {NAME}:rapid-{arch} made")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("x86_64", "arm64"):
        sys.exit(__doc__.split("\n\n")[1])
    main(sys.argv[1])
