"""benchmarks/gpu/run without a GPU. The environment names the build (ATTN_TEST_PREFIX) and the fake driver
(ATTN_TEST_FAKE_CUDA)."""
import datetime
import importlib.util
import json
import math
import os
import pathlib
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock
import xml.etree.ElementTree

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks/gpu"))
from attn_benchmark import contenders, environment, inputs, plot, race, record, reference, timing, variants
from attn_benchmark.interface import AttnError, Library

PREFIX = pathlib.Path(os.environ.get("ATTN_TEST_PREFIX", ROOT / "build"))
FAKE_CUDA = os.environ.get("ATTN_TEST_FAKE_CUDA", str(PREFIX / "tests/fakecuda/libattn_fakecuda.so"))


def row_of(mask, length=100, batch=2, heads=4, head_dim=16, dtype="f16"):
    return variants.Row(mask, dtype, head_dim, length, batch, heads)


def entry(tflops):
    return {"ms": 1.0, "tflops": tflops, "error": {}}


def results_row(name="causal bf16 d128 4096", mask="causal", length=4096, **entries):
    return {"name": name, "mask": mask, "dtype": "bf16", "head_dim": 128, "length": length, "entries": entries}


class Logic(unittest.TestCase):
    """Nothing here needs a build."""

    def test_rows_begin_with_the_most_important(self):
        rows = variants.rows()
        self.assertEqual(len(rows), 6 * 2 * 3 * 6)
        self.assertEqual({row.name() for row in rows[:2]}, {"full bf16 d128 16384", "causal bf16 d128 16384"})
        self.assertEqual(rows[-1].dtype, "f16")

    def test_tokens_and_hidden_size_are_constant(self):
        for row in variants.rows():
            self.assertEqual(row.batch * row.length, max(variants.TOKENS, row.length))
            self.assertEqual(row.heads * row.head_dim, variants.HIDDEN)

    def test_visible_pairs_are_those_of_the_mask(self):
        for mask in variants.MASKS:
            row = row_of(mask)
            documents = variants.document_numbers(row)
            count = sum(mask == "full" or variants.is_visible(mask, row.window(), q, k, numbers[q], numbers[k])
                        for numbers in documents for q in range(row.length) for k in range(row.length))
            self.assertEqual(variants.visible_pairs(row), count, mask)
        self.assertEqual(row_of("causal").flops(), 4 * 4 * 16 * 2 * 5050)

    def test_documents_fill_each_sequence_and_differ(self):
        row = row_of("document", length=1024)
        for lengths in variants.document_lengths(row):
            self.assertEqual((sum(lengths), len(lengths)), (1024, variants.DOCUMENTS))
            self.assertGreater(len(set(lengths)), 1)
        self.assertEqual(variants.document_numbers(row), variants.document_numbers(row))

    def test_a_window_hides_something_at_every_length(self):
        for length in (2, 1024, 1025, 32768):
            row = row_of("window", length=length)
            self.assertLess(variants.visible_pairs(row), variants.visible_pairs(row_of("causal", length=length)))

    def test_kernels_differ_where_the_text_does(self):
        texts = {}
        for row in variants.rows():
            self.assertEqual(texts.setdefault(row.kernel_name(), variants.spec_text(row)), variants.spec_text(row))
        self.assertEqual(len(set(texts.values())), len(texts))

    def test_inputs_exceed_the_cache(self):
        for row in variants.rows():
            count = inputs.set_count(row, 60 << 20)
            self.assertGreaterEqual(count, 2)
            self.assertGreater((count - 1) * row.input_bytes(), inputs.L2_FACTOR * (60 << 20) - 1)

    def test_plain_inputs_are_moderate_numbers_of_both_signs(self):
        for dtype in variants.DTYPES:
            values = inputs.widen(bytes(inputs.PlainInputs(row_of("full", dtype=dtype), 1).sets[0]["key"]), dtype)
            self.assertEqual(len(values), 2 * 100 * 4 * 16)
            self.assertTrue(all(0.06 < abs(value) <= 2 for value in values))
            self.assertLess(abs(sum(values) / len(values)), 0.1)

    def test_widening(self):
        numbers = [0.5, -1.75, 0.0, 2.0]
        self.assertEqual(inputs.widen(struct.pack("<4e", *numbers), "f16"), numbers)
        upper = b"".join(struct.pack("<f", number)[2:] for number in numbers)
        self.assertEqual(inputs.widen(upper, "bf16"), numbers)

    def plain_output(self, row, given, change=lambda value: value):
        """What an exact kernel would write, by the reference at every row."""
        exact = reference.PlainReference(given, 0)
        exact.rows, exact.places = list(range(row.length)), [(b, h) for b in range(row.batch) for h in range(row.heads)]
        out = bytearray(2 * math.prod(row.shape()))
        for batch, head in exact.places:
            for index, vector in enumerate(exact._outputs(batch, head)):
                begin = 2 * row.head_dim * ((batch * row.length + index) * row.heads + head)
                out[begin:begin + 2 * row.head_dim] = struct.pack(f"<{row.head_dim}e", *map(change, vector))
        return out

    def test_a_right_output_passes_and_wrong_ones_do_not(self):
        row = row_of("causal", length=20, batch=1, heads=2)
        given = inputs.PlainInputs(row, 1)
        exact = reference.PlainReference(given, 0)
        right = self.plain_output(row, given)
        self.assertEqual(exact.compare(right).problem, "")
        self.assertIn("relative error", exact.compare(self.plain_output(row, given, lambda value: 1.01 * value)).problem)
        self.assertNotEqual(exact.compare(b"\xff" * len(right)).problem, "")
        self.assertIsNone(exact.compare(b"\xff" * len(right)).record()["rms_relative"])
        shifted = right[2 * 2 * row.head_dim:] + right[:2 * 2 * row.head_dim]       # each row is its neighbour's
        self.assertNotEqual(exact.compare(shifted).problem, "")

    def test_sampled_rows_hold_both_ends(self):
        self.assertEqual(reference.sampled_rows(5), [0, 1, 2, 3, 4])
        rows = reference.sampled_rows(16384)
        self.assertTrue({0, 127, 128, 16383} <= set(rows))
        self.assertLess(len(rows), 24)

    def test_contenders_take_turns_and_sets(self):
        clock, met = ScriptedClock({"ours": 2.0, "theirs": 5.0}), {"ours": set(), "theirs": set()}
        order = []

        def call(name):
            def run(index):
                order.append(name)
                met[name].add(index)
                clock.run(name)
            return run

        times = timing.measure(clock, {name: call(name) for name in met}, 2, seconds=0.1)
        self.assertEqual(met, {"ours": {0, 1}, "theirs": {0, 1}})
        self.assertEqual(order[:8], ["ours", "theirs", "theirs", "ours", "ours", "theirs", "theirs", "ours"])
        warm_up = timing.rounds_for(timing.WARM_UP_S, 0.007)
        self.assertEqual(len(order), 2 * (2 + warm_up + 14))
        self.assertEqual(times["ours"].record(), {"ms": 2.0, "p10_ms": 2.0, "p90_ms": 2.0, "calls": 14})
        self.assertEqual(times["theirs"].record()["ms"], 5.0)

    def test_rounds_fit_the_time_within_limits(self):
        self.assertEqual(timing.rounds_for(1.0, 0.02), 50)
        self.assertEqual(timing.rounds_for(1.0, 1.0), timing.LEAST_ROUNDS)
        self.assertEqual(timing.rounds_for(1.0, 0.0), timing.MOST_ROUNDS)

    def test_medians_shrug_off_an_outlier(self):
        times = timing.Times([1.0, 1.0, 1.1, 1.0, 90.0]).record()
        self.assertEqual((times["ms"], times["p90_ms"]), (1.0, 90.0))

    def test_the_budget_begins_no_row_that_does_not_fit(self):
        now = [0.0]
        budget = record.Budget(1, clock=lambda: now[0])
        self.assertTrue(budget.allows())
        budget.row_took(15.0)
        now[0] = 44.0
        self.assertTrue(budget.allows())
        now[0] = 46.0
        self.assertFalse(budget.allows())
        self.assertTrue(record.Budget(None, clock=lambda: 1e9).allows())

    def test_results_are_whole_after_every_row_and_resume(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "new/gpu.json"
            results = record.Results(path, {"device": {"name": "a"}, "measured": True, "date": "x"})
            results.add(results_row(attnc=entry(500)))
            self.assertEqual(len(json.loads(path.read_text())["rows"]), 1)
            self.assertEqual([file.name for file in path.parent.iterdir()], ["gpu.json"])
            again = record.Results(path, {"device": {"name": "a"}, "measured": True, "date": "y"}, resume=path)
            self.assertTrue(again.has("causal bf16 d128 4096") and not again.has("full bf16 d128 4096"))
            self.assertEqual(json.loads(path.read_text())["resumed"][0]["date"], "x")
            for other in ({"device": {"name": "b"}, "measured": True}, {"device": {"name": "a"}, "measured": False}):
                with self.assertRaises(ValueError):
                    record.Results(path, other, resume=path)

    def test_the_table_shows_times_and_why_there_is_none(self):
        table = record.Table(["attnc", "sdpa-cudnn", "flex", "flash3"])
        row = results_row(attnc=entry(700.4), **{"sdpa-cudnn": entry(650), "flex": {"failed": "out of memory"}})
        line = table.line(row).split()
        self.assertEqual(line, ["causal", "bf16", "d128", "4096", "700", "650", "failed", "1.000", "1.08"])
        self.assertEqual(len(table.line(row)), len(table.head()))
        self.assertEqual(table.remarks(row), ["  flex: failed: out of memory"])
        row = results_row(attnc={"not_measured": "…"}, **{"sdpa-cudnn": {"skipped": "…"}})
        self.assertEqual(table.line(row).split()[4:], ["right", "-"])

    def test_the_summary_names_the_row_furthest_behind(self):
        rows = [results_row("one", attnc=entry(700), flex=entry(350)),
                results_row("two", attnc=entry(600), flex=entry(300), flash3=entry(750))]
        self.assertEqual(record.summary(rows)[1], "ahead of the best peer in 1 of 2 rows: lowest 0.80 (two, by flash3)")
        self.assertIn("wrong or failed in 1: three", record.summary([results_row("three", attnc={"wrong": "x"})])[0])
        self.assertIn("not measured", record.summary([results_row(attnc={"not_measured": "x"})])[1])

    def test_the_summary_holds_variants_to_the_plain_kernel_and_errors_to_the_peers(self):
        ours, theirs = dict(entry(540), error={"rms_relative": 2e-3}), dict(entry(400), error={"rms_relative": 1e-3})
        rows = [results_row("plain", attnc=entry(600)), results_row("capped", mask="softcap", attnc=ours, flex=theirs),
                results_row("elsewhere", mask="softcap", length=1024, attnc=entry(100))]
        self.assertEqual(record.summary(rows)[2:], [
            "variants beside the causal kernel, by visible pair: lowest 0.90 (capped, over causal)",
            "variants beside FlexAttention: lowest 1.35 (capped, by flex)",
            "error of the most exact peer over ours: lowest 0.50 (capped, by flex)"])

    def test_the_picture_has_a_line_for_each_contender(self):
        content = {"device": {"description": "GPU <1>"}, "date": "2026", "measured": True,
                   "rows": [results_row(length=length, attnc=entry(500 + length), flex=entry(300)) for length in (1024, 4096)]}
        root = xml.etree.ElementTree.fromstring(plot.svg(content))
        self.assertEqual(len(root.findall(".//{*}polyline")), 2)
        self.assertEqual(len(root.findall(".//{*}circle")), 4)
        self.assertIn("not measured on a GPU", plot.svg(dict(content, measured=False)))
        self.assertIsNone(plot.svg(dict(content, rows=[results_row(attnc={"not_measured": "x"})])))

    def test_file_names(self):
        self.assertEqual(record.file_stem("NVIDIA H200, compute capability 9.0", datetime.datetime(2026, 11, 26, 7, 1, 59)),
                         "gpu-nvidia-h200-2026-11-26-070159")

    def test_a_device_that_is_lost_ends_the_race_with_the_record(self):
        contest = race.Race.__new__(race.Race)      # the parts a row needs, and a device that a kernel has broken
        contest.is_gpu, contest.on_gpu_with_torch, contest.torch, contest.running = False, False, None, ""
        contest.plan = lambda row: (_ for _ in ()).throw(AttnError("launch failed"))
        contest.device = unittest.mock.Mock()
        contest.device.synchronize.side_effect = AttnError("CUDA_ERROR_LAUNCH_FAILED (719)")
        with self.assertRaises(race.DeviceLost) as lost:
            contest.run_row(row_of("causal"), [])
        message, measured = lost.exception.args
        self.assertIn("719", message)
        self.assertEqual(measured["entries"], {"attnc": {"failed": "launch failed"}})

    def test_one_that_fails_while_it_is_timed_is_named(self):
        contest = race.Race.__new__(race.Race)
        contest.torch, contest.seconds, contest.device = None, 0.01, unittest.mock.Mock()
        contest.device.event.return_value.milliseconds_since.return_value = 1.0
        good, bad = unittest.mock.Mock(), unittest.mock.Mock()
        bad.call.side_effect = [None, RuntimeError("out of memory")]
        entries = {"attnc": {}, "peer": {}}
        contest.time(row_of("causal"), {"attnc": good, "peer": bad}, entries, 2)
        self.assertEqual(entries, {"attnc": {}, "peer": {"failed": "RuntimeError: out of memory"}})


class ScriptedClock:
    """Time that passes only by calls."""

    def __init__(self, milliseconds):
        self.milliseconds, self.now = milliseconds, 0.0

    def run(self, name):
        self.now += self.milliseconds[name]

    def event(self):
        return self.now

    def hold(self):
        self.now += 10.0

    def wait(self):
        pass

    @staticmethod
    def elapsed(begin, end):
        return end - begin


class DeviceTensors:
    """What attnc asks of torch and its tensors on the device, over buffers of a device."""

    uint8 = "uint8"

    def __init__(self, device):
        self.device = device
        self.cuda = unittest.mock.Mock()
        self.cuda.current_stream.return_value.cuda_stream = 0

    def made_of(self, data):
        tensor = unittest.mock.MagicMock(buffer=self.device.allocate(len(data)))
        tensor.buffer.upload(bytes(data))
        tensor.contiguous.return_value = tensor
        tensor.data_ptr.return_value = tensor.buffer.address
        tensor.__len__.return_value = len(data)
        return tensor

    def full_like(self, like, value):
        assert value != value
        return self.made_of(b"\xff" * like.buffer.size)

    def empty(self, count, dtype, device):
        assert (dtype, device) == ("uint8", "cuda")
        return self.made_of(bytes(count))


class CpuInPlaceOfCuda:
    """What the benchmark asks of torch.cuda, for tensors on the CPU."""

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            self.when = time.perf_counter()

        def elapsed_time(self, end):
            return 1e3 * (end.when - self.when)

    set_device = _sleep = staticmethod(lambda value: None)
    synchronize = empty_cache = staticmethod(lambda: None)


class Run(unittest.TestCase):
    """Starts the program; results go to a directory of the test's own."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def run_program(self, *arguments, prefix=PREFIX, environment=None):
        command = [sys.executable, str(ROOT / "benchmarks/gpu/run"), "--prefix", str(prefix), "--results",
                   str(self.directory / "results"), *arguments]
        return subprocess.run(command, capture_output=True, text=True,
                              env={**os.environ, "ATTN_CUDA_LIBRARY": "/nonexistent/libcuda.so", **(environment or {})})

    def content(self, forget=False):
        files = list((self.directory / "results").glob("*.json"))
        self.assertEqual(len(files), 1)
        content = json.loads(files[0].read_text())
        if forget:
            files[0].unlink()
        return content


class Command(Run):
    def test_without_a_gpu_it_says_so(self):
        done = self.run_program("--no-torch")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("no GPU here: opening device `cuda:0`", done.stdout)
        self.assertFalse((self.directory / "results").exists())
        self.assertEqual(self.run_program("--no-torch", "--allow-no-gpu").returncode, 0)

    def test_wrong_usage(self):
        for arguments, words in ((("--mask", "casual"), "casual is none of full, causal"),
                                 (("--peers", "flesh"), "flesh is none of"), (("--length", "many"), "invalid")):
            done = self.run_program(*arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn(words, done.stderr)
        done = self.run_program("--device", "emulator", prefix=self.directory)
        self.assertEqual(done.returncode, 2)
        self.assertIn("attnc is not built here; looked for", done.stderr)


class EmulatorRun(Run):
    def test_every_variant_is_right_and_nothing_is_timed(self):
        done = self.run_program("--device", "emulator", "--no-torch", "--dtype", "bf16")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        content = self.content()
        self.assertEqual({row["mask"] for row in content["rows"]}, set(variants.MASKS))
        self.assertTrue(content["finished"] and not content["measured"])
        for row in content["rows"]:
            ours = row["entries"]["attnc"]
            self.assertLess(ours["error"]["rms_relative"], reference.TOLERANCE["bf16"])
            self.assertIn("not_measured", ours)
            self.assertFalse({"ms", "tflops"} & set(ours))
        self.assertEqual(content["conformance"]["wrong"], {})
        self.assertIn("no picture, since nothing was timed", done.stdout)

    def test_other_target_and_lengths(self):
        done = self.run_program("--device", "emulator", "--no-torch", "--target", "sm_80", "--mask", "window,document",
                                "--dtype", "f16", "--length", "1,129", "--tokens", "258", "--conformance", "off")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rows = self.content()["rows"]
        self.assertEqual({(row["length"], row["batch"]) for row in rows}, {(1, 258), (129, 2)})

    def test_resume_keeps_rows_and_adds_the_rest(self):
        common = ("--device", "emulator", "--no-torch", "--dtype", "f16", "--conformance", "off")
        self.assertEqual(self.run_program(*common, "--mask", "causal", "--minutes", "0").returncode, 0)
        content = self.content()
        self.assertEqual((content["rows"], content["finished"], content["rows_left"]), ([], False, ["causal f16 d64 100"]))
        file = next((self.directory / "results").glob("*.json"))
        self.assertEqual(self.run_program(*common, "--mask", "causal", "--resume", str(file)).returncode, 0)
        first = self.content()["rows"]
        done = self.run_program(*common, "--mask", "causal,full", "--resume", str(file))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        content = self.content()
        self.assertEqual([row["name"] for row in content["rows"]], ["causal f16 d64 100", "full f16 d64 100"])
        self.assertEqual(content["rows"][0], first[0])

    def test_a_row_that_hangs_is_recorded_and_left_out_when_resumed(self):
        common = ("--device", "emulator", "--no-torch", "--dtype", "f16", "--conformance", "off", "--mask", "causal,full")
        done = self.run_program(*common, "--patience", "0.001")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        content = self.content()
        first = content["rows"][0]["name"]
        self.assertIn("no end within 0.001 s", content["rows"][0]["entries"]["attnc"]["failed"])
        self.assertEqual((len(content["rows"]), content["finished"]), (1, False))
        file = next((self.directory / "results").glob("*.json"))
        done = self.run_program(*common, "--resume", str(file))
        self.assertEqual(done.returncode, 1)              # what failed before is still there
        self.assertEqual([row["name"] for row in self.content()["rows"]].count(first), 1)
        self.assertEqual(len(self.content()["rows"]), 2)

    def broken_prefix(self, condition):
        """An attnc that compiles another mask than asked for, when the shell's `condition` holds."""
        directory = self.directory / "broken"
        (directory / "bin").mkdir(parents=True)
        (directory / "lib").symlink_to(PREFIX / "lib")
        program = directory / "bin/attnc"
        program.write_text(f'#!/bin/sh\nif {condition}; then sed -i "s/causal()/kv_idx < q_idx + 2/" "$2"; fi\n'
                           f'exec "{PREFIX}/bin/attnc" "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return directory

    def test_a_wrong_output_is_never_right(self):
        done = self.run_program("--device", "emulator", "--no-torch", "--mask", "causal,full", "--dtype", "bf16",
                                "--conformance", "off", prefix=self.broken_prefix('[ "$1" = compile ]'))
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        entries = {row["mask"]: row["entries"]["attnc"] for row in self.content()["rows"]}
        self.assertIn("relative error", entries["causal"]["wrong"])
        self.assertIn("not_measured", entries["full"])
        self.assertIn("WRONG", done.stdout)

    def test_a_failed_check_keeps_the_row_from_the_race(self):
        broken = self.directory / "refusing"
        (broken / "bin").mkdir(parents=True)
        (broken / "lib").symlink_to(PREFIX / "lib")
        program = broken / "bin/attnc"
        program.write_text(f'#!/bin/sh\n[ "$1" != check ] || {{ echo "error: over tolerance" >&2; exit 1; }}\n'
                           f'exec "{PREFIX}/bin/attnc" "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        done = self.run_program("--device", "emulator", "--no-torch", "--mask", "causal", "--dtype", "bf16", prefix=broken)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        content = self.content()
        self.assertIn("over tolerance", content["conformance"]["wrong"]["causal_bf16_64_2"])
        self.assertIn("failed", content["rows"][0]["entries"]["attnc"])


class FakeDriverRun(Run):
    def test_times_come_from_the_drivers_events(self):
        done = self.run_program("--no-torch", "--mask", "causal,document", "--dtype", "bf16", "--head-dim", "64", "--length", "64",
                                "--tokens", "64", "--hidden", "128", "--seconds", "0.05", "--conformance", "off",
                                environment={"ATTN_CUDA_LIBRARY": FAKE_CUDA})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("the times below are no GPU's", done.stdout)
        content = self.content()
        self.assertFalse(content["measured"])
        self.assertEqual(content["environment"]["ATTN_CUDA_LIBRARY"], FAKE_CUDA)
        for row in content["rows"]:
            ours = row["entries"]["attnc"]
            self.assertGreaterEqual(ours["calls"], timing.LEAST_ROUNDS)
            self.assertLessEqual(ours["p10_ms"], ours["ms"])
            self.assertGreater(ours["tflops"], 0)
            self.assertGreaterEqual(row["sets"], 2)
        pictures = list((self.directory / "results").glob("*.svg"))
        self.assertIn("not measured on a GPU", pictures[0].read_text())


    def test_kernels_run_on_the_pointers_and_stream_of_tensors(self):
        row = row_of("document", head_dim=64, batch=2, heads=2, dtype="bf16")
        plain = inputs.PlainInputs(row, 1)
        tools = environment.Tools(PREFIX)
        with unittest.mock.patch.dict(os.environ, {"ATTN_CUDA_LIBRARY": FAKE_CUDA, "FAKE_CUDA_CAPABILITY": "90"}):
            contest = race.Race(tools, Library(tools.library), "cuda:0", "sm_90a", self.directory)
            plan, seconds = contest.plan(row)
            self.assertEqual((plan.target(), plan.name()), ("sm_90a", "document"))
            self.assertGreater(seconds, 0)
            tensors = DeviceTensors(contest.device)
            given = unittest.mock.Mock(row=row, place="cuda", torch=tensors, documents=tensors.made_of(plain.documents),
                                       sets=[{name: tensors.made_of(data) for name, data in plain.sets[0].items()}])
            ours = contenders.Attnc(plan, given, contest.device)
            ours.call(0)
            contest.device.synchronize()
            comparison = reference.PlainReference(plain, 0).compare(ours.output(0).buffer.download())
        self.assertEqual(comparison.problem, "")

    def run_suite(self, prefix=PREFIX, **environment):
        return self.run_program("--no-torch", "--mask", "causal", "--dtype", "bf16", "--head-dim", "64", "--length", "64",
                                "--tokens", "64", "--hidden", "128", "--seconds", "0.01", "--conformance", "suite",
                                prefix=prefix, environment={"ATTN_CUDA_LIBRARY": FAKE_CUDA, **environment})

    def test_the_conformance_suite_runs_on_the_device_first(self):
        done = self.run_suite(GTEST_FILTER="mask.causal_*:mask.causal_top_left_*")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        suite = self.content()["conformance"]["suite"]
        self.assertGreaterEqual(suite["passed"], 3)
        self.assertEqual((suite["failed"], suite["skipped"], suite["failures"]), (0, 0, []))

    def test_a_failing_or_crashing_suite_fails_the_run(self):
        for script, count, words in (('echo "[  FAILED  ] mask.a_bf16_64 (3 ms)"; echo "[  FAILED  ] 1 test, listed below:"; exit 1',
                                      1, "mask.a_bf16_64"), ('echo "no such thing" >&2; exit 3', 1, "no such thing")):
            prefix = self.directory / f"prefix{len(words)}"
            (prefix / "bin").mkdir(parents=True)
            (prefix / "lib").symlink_to(PREFIX / "lib")
            (prefix / "bin/attnc").symlink_to(PREFIX / "bin/attnc")
            program = prefix / "bin/conformance_test"
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
            done = self.run_suite(prefix)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            suite = self.content(forget=True)["conformance"]["suite"]
            self.assertGreaterEqual(suite["failed"], count)
            self.assertIn(words, " ".join(suite["failures"]))


@unittest.skipUnless(importlib.util.find_spec("torch"), "PyTorch is not installed")
class TorchRun(Run):
    def test_a_race_with_peers_is_timed_and_recorded(self):
        """On the fake driver, torch's tensors on the CPU and stand-ins for its events: all that a GPU's run does but the
        sharing of pointers."""
        import torch
        tools = environment.Tools(PREFIX)
        with unittest.mock.patch.dict(os.environ, {"ATTN_CUDA_LIBRARY": FAKE_CUDA, "FAKE_CUDA_CAPABILITY": "90"}):
            contest = race.Race(tools, Library(tools.library), "cuda:0", "sm_90a", self.directory,
                                unittest.mock.Mock(cuda=CpuInPlaceOfCuda), seconds=0.01)
            contest.inputs = lambda row: inputs.TorchInputs(torch, row, 2, "cpu")
            with unittest.mock.patch.object(timing, "WARM_UP_S", 0.001):
                measured = contest.run_row(row_of("causal", head_dim=64, batch=1, heads=2), contenders.CPU_PEERS)
        self.assertEqual(set(measured["entries"]), {"attnc", "sdpa-cpu", "flex-eager"})
        for name, found in measured["entries"].items():
            self.assertIn("error", found, (name, found))
            self.assertEqual(found["error"]["problem"], "", name)
            self.assertAlmostEqual(found["tflops"], measured["flops"] / found["ms"] / 1e9)
            self.assertGreaterEqual(found["calls"], timing.LEAST_ROUNDS)
        self.assertEqual(len(record.Table(list(measured["entries"])).line(measured).split()), 4 + 3 + 2)

    def test_peers_agree_on_the_same_tensors(self):
        done = self.run_program("--device", "emulator")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for row in self.content()["rows"]:
            self.assertIn("not_measured", row["entries"]["attnc"])
            self.assertIn("not_measured", row["entries"]["flex-eager"], row)
            key = "not_measured" if row["mask"] in ("full", "causal") else "skipped"
            self.assertIn(key, row["entries"]["sdpa-cpu"], row)


if __name__ == "__main__":
    unittest.main()
