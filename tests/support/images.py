"""Images of the Dockerfile, built and run without a registry and without a daemon.

The base is a Debian made by debootstrap, the builder is buildah, and a container is a chroot with
PID, mount and IPC namespaces of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.clones import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Mapping

TOOLS = ("buildah", "debootstrap", "unshare", "chroot")
BASE = "localhost/debian:trixie-slim"
STORE = CHECKOUT / ".cache" / "images"


def missing_tools() -> str | None:
    """Say why images cannot be built here, or nothing."""
    if os.geteuid() != 0:
        return "only root can build and run images without a daemon"
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"install {', '.join(absent)}" if absent else None


def buildah(*arguments: str) -> str:
    """Run buildah with a store of its own, and return what it printed."""
    command = ["buildah", "--storage-driver=vfs", f"--root={STORE / 'store'}", *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"buildah {arguments[0]} failed: {done.stderr[-2000:]}"
        raise RuntimeError(msg)
    return done.stdout.strip()


def make_base() -> None:
    """Make what stands for debian:trixie-slim, where there is none yet."""
    if BASE in buildah("images", "--format={{.Name}}:{{.Tag}}"):
        return
    root = STORE / "base"
    mirror = "http://deb.debian.org/debian"
    bootstrap = ["debootstrap", "--variant=minbase", "trixie", str(root), mirror]
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(bootstrap, check=True, stdout=subprocess.DEVNULL)
    for folder in ("cache/apt/archives", "lib/apt/lists"):  # as the slim image is without
        shutil.rmtree(root / "var" / folder)
    for folder in ("doc", "locale", "man"):
        shutil.rmtree(root / "usr" / "share" / folder)
    options = ["--cmd=/bin/bash", "--env=PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    certificates = os.environ.get("SSL_CERT_FILE")
    if certificates:  # this machine's, to reach the registries of packages
        shutil.copy(certificates, root / "machine.crt")
        names = ("PIP_CERT", "SSL_CERT_FILE")
        options += [f"--env={name}=/machine.crt" for name in names]
    container = buildah("from", "scratch")
    buildah("add", container, str(root), "/")
    buildah("config", *options, container)
    buildah("commit", container, BASE)
    buildah("rm", container)
    shutil.rmtree(root)


@dataclass(frozen=True)
class Image:
    """A built image, whose files are in a folder."""

    root: Path
    config: Mapping[str, Any]
    megabytes: float

    def start(
        self, *arguments: str, variables: Mapping[str, str], volumes: Mapping[Path, str]
    ) -> Container:
        """Start its entry point with arguments; a first one with a slash takes its place."""
        mounts = ["mount --rbind /dev dev", "mount -t proc proc proc"]
        mounts += [f"mount --bind '{here}' '.{there}'" for here, there in volumes.items()]
        command = [*self.config["Entrypoint"], *(arguments or self.config["Cmd"])]
        if arguments[:1] == ("tini",):
            command = [*arguments]
        user = self.config["User"]
        environment = [*self.config["Env"], *(f"{name}={it}" for name, it in variables.items())]
        home = self.config["WorkingDir"]
        chroot = f'exec chroot --userspec={user}:{user} . env -i -C {home} "$@"'
        script = " && ".join(["cd -- '" + str(self.root) + "'", *mounts, chroot])
        process = subprocess.Popen(
            [
                *("unshare", "--pid", "--mount", "--ipc", "--fork", "--kill-child"),
                *("/bin/sh", "-c", script, "sh", *environment, *command),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return Container(process)


@dataclass(frozen=True)
class Container:
    """A running container."""

    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Send SIGTERM to its process 1, as `docker stop` does."""
        outside = self.process.pid
        children = Path(f"/proc/{outside}/task/{outside}/children")
        while not (found := children.read_text("ascii").split()):
            time.sleep(0.01)
        os.kill(int(found[0]), signal.SIGTERM)

    def ended(self) -> tuple[int, str, str]:
        """Wait for its end; returns exit code, output and log."""
        output, log = self.process.communicate(timeout=300)
        return self.process.returncode, output.decode(), log.decode()


def image(line: str) -> Image:
    """Build an image by a line such as `docker build --tag NAME .`, and mount it."""
    words = line.split()
    assert words[:2] == ["docker", "build"]
    name = words[words.index("--tag") + 1]
    buildah("bud", "--isolation=chroot", f"--build-arg=BASE={BASE}", *words[2:])
    container = buildah("from", name)
    described = json.loads(buildah("inspect", "--type=image", name))
    root = Path(buildah("mount", container))
    files = (file for file in root.rglob("*") if file.is_file() and not file.is_symlink())
    size = sum(file.stat().st_size for file in files)
    return Image(root, described["OCIv1"]["config"], size / 1e6)
