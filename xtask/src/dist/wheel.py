"""Makes a wheel of the static binary and the module `trialbox`: wheel.py BINARY VERSION MACHINE ROOT FOLDER."""

import base64
import hashlib
import pathlib
import sys
import zipfile

# The binary needs no C library, so it fits the oldest of each kind.
TAG = "py3-none-manylinux_2_17_{machine}.manylinux2014_{machine}.musllinux_1_1_{machine}"

MAIN = '''"""`python -m trialbox`: the program."""

import os
import sys
import sysconfig

program = os.path.join(sysconfig.get_path("scripts"), "trialbox")
if not os.path.exists(program):
    program = os.path.join(sysconfig.get_path("scripts", f"{os.name}_user"), "trialbox")
os.execv(program, [program, *sys.argv[1:]])
'''


def main():
    binary, version, machine, root, folder = sys.argv[1:]
    tag = TAG.format(machine=machine)
    root = pathlib.Path(root)
    info = f"trialbox-{version}.dist-info"
    client = sorted((root / "guest-sdk/python/trialbox").glob("*.py"))
    files = [(f"trialbox/{path.name}", path.read_bytes(), 0o644) for path in client]
    files.append(("trialbox/__main__.py", MAIN.encode(), 0o644))
    files.append(("trialbox/py.typed", b"", 0o644))
    files.append((f"trialbox-{version}.data/scripts/trialbox", pathlib.Path(binary).read_bytes(), 0o755))
    for licence in ("LICENSE-APACHE", "LICENSE-MIT"):
        files.append((f"{info}/licenses/{licence}", (root / licence).read_bytes(), 0o644))
    files.append((f"{info}/METADATA", metadata(root, version).encode(), 0o644))
    tags = "".join(f"Tag: py3-none-{platform}\n" for platform in tag.split("-")[2].split("."))
    text = f"Wheel-Version: 1.0\nGenerator: trialbox xtask\nRoot-Is-Purelib: false\n{tags}"
    files.append((f"{info}/WHEEL", text.encode(), 0o644))
    record = "".join(f"{name},{digest(data)},{len(data)}\n" for name, data, _ in files)
    files.append((f"{info}/RECORD", f"{record}{info}/RECORD,,\n".encode(), 0o644))
    with zipfile.ZipFile(pathlib.Path(folder) / f"trialbox-{version}-{tag}.whl", "w") as wheel:
        for name, data, mode in files:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100000 | mode) << 16
            wheel.writestr(entry, data, zipfile.ZIP_DEFLATED, 9)


def metadata(root, version):
    head = [
        "Metadata-Version: 2.4",
        "Name: trialbox",
        f"Version: {version}",
        "Summary: Hyperparameter-optimisation trials in a box: sandboxed objectives on a shared Optuna study",
        "License-Expression: MIT OR Apache-2.0",
        "License-File: LICENSE-APACHE",
        "License-File: LICENSE-MIT",
        "Requires-Python: >=3.8",
        "Classifier: Operating System :: POSIX :: Linux",
        "Classifier: Typing :: Typed",
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join(head) + "\n\n" + (root / "README.md").read_text(encoding="utf-8")


def digest(data):
    value = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    return f"sha256={value.decode()}"


if __name__ == "__main__":
    main()
