"""Build the container image in which `sam local` runs the functions, without pulling an image.

usage: image.py ARCH     (x86_64 or arm64; with the Python of .local/sam-venv)

SAM builds its image from AWS's base image and the Runtime Interface Emulator of SAM CLI. The
functions are static binaries: from the base image they need only a folder for temporary files,
certificates and a user. So this image contains the emulator and those, 10 MB, without a registry.
It has a separate name, which `make sam-local` passes with --invoke-image, and replaces no image of
AWS.
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
    """Return a tar entry and its content. Without content it is a folder."""
    info = tarfile.TarInfo(name)
    info.mode = mode
    if content is None:
        info.type = tarfile.DIRTYPE
        return info, None
    info.size = len(content)
    return info, io.BytesIO(content)


def file_system(arch):
    """Return a tar of the whole file system of the image."""
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
        sys.exit(f"image: cannot reach a container engine ({error}). Start Docker or set DOCKER_HOST.")
    # The tag that SAM gives to its image of a base image NAME. With --skip-pull-image SAM uses the
    # image unchanged.
    changes = ["WORKDIR /var/task", f"LABEL emulator={samcli.__version__}"]
    try:
        if engine.images.get(f"{NAME}:rapid-{arch}").labels.get("emulator") == samcli.__version__:
            return
    except docker.errors.ImageNotFound:
        pass
    engine.api.import_image_from_data(file_system(arch), repository=NAME, tag=f"rapid-{arch}", changes=changes)
    print(f"image: built {NAME}:rapid-{arch}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("x86_64", "arm64"):
        sys.exit(__doc__.split("\n\n")[1])
    main(sys.argv[1])
