"""Where the parts lie, and what the record says of the machine: versions, driver, clocks, commit."""
import importlib
import os
import pathlib
import platform
import subprocess
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
_CLOCKS = ("clocks.sm", "clocks.mem", "clocks.max.sm", "power.draw", "temperature.gpu")
_PACKAGES = ("torch", "triton", "flash_attn", "flash_attn_interface", "flashinfer", "numpy")


def output_of(command):
    """Its standard output, or None where it does not work."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


class Tools:
    """The command `attnc` and the library libattn_c.so, of a build or of an installed package."""

    def __init__(self, prefix):
        self.prefix = pathlib.Path(prefix)
        self.attnc = self.prefix / "bin/attnc"
        self.library = next(iter(sorted(self.prefix.glob("lib*/**/libattn_c.so"))), self.prefix / "lib/libattn_c.so")
        self.conformance = self.prefix / "bin/conformance_test"

    def missing(self):
        return [str(path) for path in (self.attnc, self.library) if not path.exists()]


def find_tools(prefix, scratch):
    """Of `prefix`, a directory or a tarball of scripts/package; without one of build/, else of the tarball in dist/."""
    candidates = [pathlib.Path(prefix)] if prefix else \
        [ROOT / "build", *sorted((ROOT / "dist").glob("attnc-*.tar.xz"), reverse=True)]
    tried = []
    for candidate in candidates:
        if candidate.is_file():
            with tarfile.open(candidate) as archive:
                archive.extractall(scratch, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
            candidate = next(pathlib.Path(scratch).glob("attnc-*"), candidate)
        tools = Tools(candidate)
        if not tools.missing():
            return tools
        tried += tools.missing()
    raise FileNotFoundError("attnc is not built here; looked for " + ", ".join(tried))


def gpu_state():
    """Clocks in MHz, power in W, temperature in °C, as the driver's tool tells them; empty where there is none."""
    text = output_of(["nvidia-smi", "--id=0", "--query-gpu=" + ",".join(_CLOCKS), "--format=csv,noheader,nounits"])
    values = text.splitlines()[0].split(", ") if text else []
    return {name: value for name, value in zip(_CLOCKS, values)}


def driver_version():
    text = output_of(["nvidia-smi", "--id=0", "--query-gpu=driver_version", "--format=csv,noheader"])
    return text.splitlines()[0] if text else None


def package_versions():
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = getattr(importlib.import_module(name), "__version__", "unknown")
        except Exception:                # not here, or here and broken: the peers say which
            continue
    ptxas = output_of(["ptxas", "--version"]) or output_of(["/usr/local/cuda/bin/ptxas", "--version"])
    if ptxas:
        found["ptxas"] = ptxas.splitlines()[-1]      # kernels in our packages are assembled with it; else by the driver
    if "torch" in found:
        torch = importlib.import_module("torch")
        found["cuda"], found["cudnn"] = torch.version.cuda, torch.backends.cudnn.version()
    return found


def settings():
    """The project's environment variables: a run with another driver or cache is seen in its record."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith("ATTN_")}


def commit():
    """Of the checkout, with a mark where files differ from it."""
    head = output_of(["git", "-C", str(ROOT), "rev-parse", "HEAD"])
    if head is None:
        return None
    return head + ("" if output_of(["git", "-C", str(ROOT), "status", "--porcelain", "-uno"]) == "" else "+changes")


def processes():
    return max(1, len(os.sched_getaffinity(0)))
