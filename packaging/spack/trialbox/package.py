from spack.package import *


class Trialbox(Package):
    """Hyperparameter-optimisation trials in a box: sandboxed objectives on a shared Optuna study."""

    # `spack checksum` adds the digest of the archive that `cargo xtask dist --sources` writes.
    url = "file:///opt/mirror/trialbox-0.1.0-sources.tar.gz"

    license("MIT OR Apache-2.0")

    version("0.1.0")

    depends_on("c", type="build")
    depends_on("rust@1.95:", type="build")

    def install(self, spec, prefix):
        # The archive has the sources of all libraries, and tells cargo where.
        cargo = which("cargo", required=True)
        cargo("build", "--release", "--offline", "--locked", "--package", "trialbox")
        mkdirp(prefix.bin)
        install("target/release/trialbox", prefix.bin)
        trialbox = Executable(prefix.bin.trialbox)
        trialbox("man", "--all", prefix.share.man.man1)
