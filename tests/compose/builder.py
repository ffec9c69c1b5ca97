"""Building and running the image without a Docker engine: buildah in a chroot, podman with runc on the host's network.

They come with Debian: `apt-get install buildah debootstrap podman runc`. LEADGER_TEST_BASE_IMAGE may name a base image;
else one is made by debootstrap and kept as `localhost/leadger-test-base`.
"""

import os
import shutil
import subprocess
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BASE = "localhost/leadger-test-base"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# The program as it stands in compose.yaml: nothing may be written but the volumes, and there are no rights to lose.
_CONFINED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges")
# podman asks for more than the machine's own limits, and for timers of systemd.
_PLAIN = ("--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096", "--no-healthcheck", "--network=host")


def what_is_missing() -> str | None:
    """Why no image can be built here, or None."""
    wanted = ["buildah", "podman", "runc"]
    if not os.environ.get("LEADGER_TEST_BASE_IMAGE"):
        wanted.append("debootstrap")
    missing = [tool for tool in wanted if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} not found (on Debian: apt-get install {' '.join(missing)})"
    return "only root can build in a chroot" if os.geteuid() != 0 else None


def base_image(folder: Path) -> str:
    """The base to build on; `folder` is for a new one, about 300 MB."""
    named = os.environ.get("LEADGER_TEST_BASE_IMAGE")
    if named:
        return named
    if not _succeeds("buildah", "inspect", "--type", "image", _BASE):
        _make_base(folder)
    return _BASE


def build(base: str, tag: str) -> None:
    """Build compose/Dockerfile."""
    options = ("--isolation=chroot", "--format=docker", "--pull-never", f"--build-arg=BASE_IMAGE={base}")
    _run("buildah", "bud", *options, "--file", str(_ROOT / "compose/Dockerfile"), "--tag", tag, str(_ROOT))


def remove(tag: str) -> None:
    """Remove the image; the base stays for the next build."""
    _run("buildah", "rmi", "--force", tag)


def inspect(tag: str) -> str:
    """What the image says of itself, as JSON."""
    return _run("podman", "image", "inspect", tag)


def megabytes(tag: str) -> float:
    """How big the image is, with all its layers."""
    return int(_run("podman", "image", "inspect", "--format={{.Size}}", tag)) / 1e6


def run(tag: str, *words: str, env: dict[str, str] | None = None) -> str:
    """Run a command in a container of its own and return what it printed."""
    return _run("podman", "--runtime=runc", "run", "--rm", *_PLAIN, *_CONFINED, *_environment(env or {}), tag, *words)


class Container:
    """A container that runs until it is stopped."""

    def __init__(self, tag: str, name: str, *words: str, home: Path, env: dict[str, str]) -> None:
        volume = f"--volume={home}:/var/lib/leadger"
        self.name = name
        _run(
            *("podman", "--runtime=runc", "run", "--detach", f"--name={name}"),
            *(*_PLAIN, *_CONFINED, volume, *_environment(env), tag, *words),
        )

    def run(self, *words: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a command beside the one that is running, whatever comes of it."""
        command = ["podman", "--runtime=runc", "exec", *_environment(env or {}), self.name, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def logs(self) -> str:
        done = subprocess.run(["podman", "logs", self.name], capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    def stop(self, patience_s: int) -> int:
        """Send SIGTERM and return the exit status: 137 if it had to be killed."""
        _run("podman", "stop", f"--time={patience_s}", self.name)
        return int(_run("podman", "inspect", "--format={{.State.ExitCode}}", self.name))

    def remove(self) -> None:
        _run("podman", "rm", "--force", "--volumes", "--time=5", self.name)


def _make_base(folder: Path) -> None:
    packages = "--include=python3,python3-venv,ca-certificates"
    _run("debootstrap", "--variant=minbase", packages, "bookworm", str(folder))
    container = _run("buildah", "from", "scratch").strip()
    try:
        # The registries may be behind certificates that only this machine knows.
        shutil.copy(_CERTIFICATES, folder / _CERTIFICATES.relative_to("/"))
        _run("buildah", "add", "--quiet", container, str(folder), "/")
        _run("buildah", "config", f"--env=PATH={_PATH}", f"--env=SSL_CERT_FILE={_CERTIFICATES}", container)
        _run("buildah", "commit", "--quiet", container, _BASE)
    finally:
        _run("buildah", "rm", container)
        shutil.rmtree(folder)


def _environment(env: dict[str, str]) -> list[str]:
    return [f"--env={name}={value}" for name, value in env.items()]


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout
