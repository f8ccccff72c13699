"""One row after another: inputs, contenders, who is right, and only then times."""
import os
import subprocess
import threading
import time

from . import contenders, inputs, reference, timing, variants
from .environment import gpu_state
from .interface import AttnError

_L2_UNKNOWN = 64 << 20


class DeviceLost(Exception):
    """The device takes no more work in this process: a kernel failed on it."""


class Watchdog:
    """Calls `expired` from a thread of its own when what it guards takes longer than `seconds`. A kernel that hangs
    cannot be stopped from within the process; what was measured so far must not be lost with it."""

    def __init__(self, seconds, expired):
        self.timer = threading.Timer(seconds, expired)
        self.timer.daemon = True

    def __enter__(self):
        self.timer.start()

    def __exit__(self, *_):
        self.timer.cancel()


class Race:
    """What rows share: the device, torch if there is one, compiled kernels."""

    def __init__(self, tools, library, device_name, target, scratch, torch=None, seconds=1.0, threads=0):
        self.tools, self.target, self.scratch, self.seconds = tools, target, scratch, seconds
        self.device = library.open(device_name, target=target, threads=threads)
        self.torch, self.plans = torch, {}
        self.running = ""         # the contender at work, for who must say that it hangs
        self.is_gpu = device_name.startswith("cuda")
        self.on_gpu_with_torch = self.is_gpu and torch is not None
        self.l2_bytes = self.device.info()["l2_bytes"] or _L2_UNKNOWN
        if self.on_gpu_with_torch:
            torch.cuda.set_device(int(device_name.partition(":")[2] or 0))

    def plan(self, row):
        """The kernel of a row, compiled once for all lengths, and the seconds from text to a loaded kernel."""
        name = row.kernel_name()
        if name not in self.plans:
            spec, package = self.scratch / f"{name}.attn", self.scratch / f"{name}.pkg"
            spec.write_text(variants.spec_text(row))
            begin = time.perf_counter()
            done = subprocess.run([str(self.tools.attnc), "compile", str(spec), "--target", self.target, "--emit",
                                   "package", "-o", str(package)], capture_output=True, text=True)
            if done.returncode != 0:
                raise AttnError(done.stderr.strip())
            self.plans[name] = self.device.load(package), time.perf_counter() - begin
        return self.plans[name]

    def inputs(self, row):
        count = inputs.set_count(row, self.l2_bytes) if self.is_gpu else 1
        if self.torch is None:
            return inputs.PlainInputs(row, count)
        return inputs.TorchInputs(self.torch, row, count, "cuda" if self.is_gpu else "cpu")

    def enter(self, row, given, peers):
        """Contenders by name, and the entries of those that cannot take part."""
        entered, entries = {}, {}
        for name, make in {"attnc": lambda: contenders.Attnc(self.plan(row)[0], given, self.device, self.plan(row)[1]),
                           **{peer.name: (lambda peer=peer: peer(given)) for peer in peers}}.items():
            self.running = name
            try:
                entered[name] = make()
            except contenders.Skip as reason:
                entries[name] = {"skipped": str(reason)}
            except Exception as error:   # of a peer's own making: it must not stop the others
                entries[name] = {"failed": describe(error)}
        return entered, entries

    def judge(self, given, entered, entries):
        """Runs each once and takes out those that are wrong."""
        exact = (reference.PlainReference if self.torch is None else reference.TorchReference)(given, 0)
        for name, contender in list(entered.items()):
            self.running = name
            try:
                contender.call(0)
                self.device.synchronize()
                comparison = exact.compare(contender.output(0))
            except Exception as error:
                entries[name] = {"failed": describe(error)}
                del entered[name]
                continue
            entries[name] = {"error": comparison.record(), "compile_s": contender.compile_s}
            if comparison.problem:
                entries[name] = {"wrong": comparison.problem, **entries[name]}
                del entered[name]

    def time(self, row, entered, entries, sets):
        """Times those that are right, in turn."""
        clock = timing.TorchClock(self.torch) if self.torch else timing.DeviceClock(self.device)

        def marked(name):
            def call(index):
                self.running = name
                entered[name].call(index)
            return call

        try:
            times = timing.measure(clock, {name: marked(name) for name in entered}, sets, self.seconds)
        except Exception as error:
            entries[self.running] |= {"failed": describe(error)}
            return
        for name, measured in times.items():
            entries[name] |= measured.record()
            entries[name]["tflops"] = row.flops() / entries[name]["ms"] / 1e9

    def run_row(self, row, peers):
        """The row's record. Raises DeviceLost, with the record, when nothing more can run here."""
        begin, before = time.perf_counter(), gpu_state() if self.is_gpu else {}
        given = self.inputs(row)
        entered, entries = self.enter(row, given, peers)
        self.judge(given, entered, entries)
        if self.is_gpu and entered:
            self.time(row, entered, entries, len(given.sets))
        for name in entered:
            if not self.is_gpu:
                entries[name]["not_measured"] = "the virtual GPU has no time"
        record = {"name": row.name(), **vars(row), "sets": len(given.sets), "visible_pairs": variants.visible_pairs(row),
                  "flops": row.flops(), "entries": entries, "seconds": round(time.perf_counter() - begin, 2)}
        if self.is_gpu:
            record["state"] = [before, gpu_state()]
        try:
            self.device.synchronize()
        except AttnError as error:
            raise DeviceLost(str(error), record) from None
        del entered, given
        if self.on_gpu_with_torch:
            self.torch.cuda.empty_cache()
        return record


def is_hardware(device_name):
    """Whether times are a GPU's: not the virtual GPU's, and not those of a stand-in for the driver."""
    return device_name.startswith("cuda") and "ATTN_CUDA_LIBRARY" not in os.environ


def describe(error):
    text = f"{type(error).__name__}: {error}" if not isinstance(error, AttnError) else str(error)
    return text if len(text) < 600 else text[:600] + " …"
