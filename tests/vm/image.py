"""Makes the virtual machine of these tests: Debian 12 with systemd and control groups v2, without an
initrd or a network. Its packages come from the package sources of this machine.

Once made, it is kept in .cache/vm under a hash of what goes into it. Takes root: a file system with
other users' files is made.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache" / "vm"

PACKAGES = ["systemd", "systemd-sysv", "dbus", "procps", "kmod", "python3-minimal", "iproute2",
            "nfs-kernel-server", "nfs-common"]
# Needs no initrd: NVMe and ext4 are built in.
KERNEL = "linux-image-cloud-amd64"
MODULES = ["fs", "net/sunrpc", "net/dns_resolver", "lib", "crypto"]
# What would only take time, or write while a test cuts the power.
MASKED = ["getty.target", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer",
          "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "systemd-timesyncd.service",
          "systemd-networkd.service", "systemd-journal-flush.service", "systemd-update-utmp.service",
          "systemd-binfmt.service", "systemd-pstore.service", "dev-hugepages.mount"]
# What a test starts that needs it.
DISABLED = ["rpcbind.socket", "rpcbind.service", "nfs-server.service", "nfs-client.target",
            "nfs-blkmap.service"]
SIZE = "1G"


def run(*words, **options):
    return subprocess.run(list(map(str, words)), check=True, stdin=subprocess.DEVNULL, text=True,
                          **options)


def output_of(*words):
    return run(*words, stdout=subprocess.PIPE).stdout


def libraries_of(binaries):
    """The Debian packages of the shared libraries that these programs need."""
    found = set()
    for binary in binaries:
        found |= set(re.findall(r"=> (/\S+)", output_of("ldd", binary)))
    packages = set()
    for library in found:
        path = os.path.realpath(library)
        # A merged /usr has them under either name.
        for name in (path, path.removeprefix("/usr")):
            owner = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True, check=False)
            if owner.returncode == 0:
                packages.add(owner.stdout.split(":")[0])
                break
    return sorted(packages)


def sources():
    """The files that say where this machine gets Debian's packages from."""
    files = map(pathlib.Path, ("/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources"))
    return [path for path in files if path.exists()]


def fingerprint(libraries):
    """Names what goes into the image; versions of packages do not count."""
    digest = hashlib.sha256(" ".join(libraries).encode())
    for path in [pathlib.Path(__file__), *sorted((HERE / "root").rglob("*"))]:
        if path.is_file():
            digest.update(f"{path.relative_to(HERE)} {path.stat().st_mode & 0o777}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def unpack_kernel(folder):
    """The kernel's package, unpacked; returns its version."""
    name = re.search(r"Depends: (linux-image-\S+)", output_of("apt-cache", "depends", KERNEL))[1]
    debs = folder / "debs"
    debs.mkdir()
    shutil.chown(debs, "_apt")
    run("apt-get", "-qq", "download", name, cwd=debs)
    run("dpkg-deb", "-x", next(debs.glob("*.deb")), folder / "kernel")
    return name.removeprefix("linux-image-")


def unpack_vmlinux(vmlinuz, out):
    """Takes the kernel out of its legacy LZ4: it then boots directly, and seconds sooner."""
    data = vmlinuz.read_bytes()
    start = data.index(b"\x02\x21\x4c\x18")
    # What follows the stream makes lz4 complain at the end.
    unpacked = subprocess.run(["lz4", "-dc"], input=data[start:], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=False).stdout
    if unpacked[:4] != b"\x7fELF":
        raise RuntimeError(f"{vmlinuz} is not compressed with LZ4")
    out.write_bytes(unpacked)


def copy_modules(kernel, root, version):
    where = pathlib.Path("lib/modules") / version
    for name in MODULES:
        shutil.copytree(kernel / where / "kernel" / name, root / "usr" / where / "kernel" / name)
    for path in (kernel / where).glob("modules.*"):
        shutil.copy(path, root / "usr" / where)
    run("chroot", root, "depmod", version)


def make(folder, libraries):
    """Writes root.img and vmlinux into `folder`."""
    root = folder / "root"
    run("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")),
        f"--include={','.join(PACKAGES + libraries)}", "bookworm", root, *sources())
    version = unpack_kernel(folder)
    unpack_vmlinux(folder / "kernel" / "boot" / f"vmlinuz-{version}", folder / "vmlinux")
    copy_modules(folder / "kernel", root, version)
    shutil.copytree(HERE / "root", root, dirs_exist_ok=True)
    run("chown", "-R", "0:0", root / "etc" / "systemd", root / "usr" / "local")
    (root / "etc" / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    units = root / "etc" / "systemd" / "system"
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    run("chroot", root, "systemctl", "--quiet", "enable", "commands.service")
    run("chroot", root, "systemctl", "--quiet", "disable", *DISABLED)
    run("mke2fs", "-q", "-t", "ext4", "-d", root, "-m", "0", folder / "root.img", SIZE)
    for name in ("root", "kernel", "debs"):
        shutil.rmtree(folder / name)


def image(binaries):
    """Folder with root.img and vmlinux for these programs; made where it is not there."""
    libraries = libraries_of(binaries)
    folder = CACHE / fingerprint(libraries)
    if folder.is_dir():
        return folder
    if os.geteuid() != 0:
        raise RuntimeError("making the virtual machine takes root: run ./test --vm as root or with sudo")
    shutil.rmtree(CACHE, ignore_errors=True)  # older ones
    making = folder.with_suffix(".new")
    making.mkdir(parents=True)
    print(f"Making the virtual machine in {folder}", file=sys.stderr)
    make(making, libraries)
    return making.rename(folder)
