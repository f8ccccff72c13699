# Configuration of the lit tests: IR, diagnostics and the command line. Found tools decide features: `ptxas`.
import os
import shutil
import sys

import lit.formats

config.name = "attnc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".attn", ".mlir", ".ptx", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.attn_binary_dir, "tests", "lit")

path = [os.path.join(config.attn_binary_dir, "bin"), config.llvm_tools_dir, os.environ.get("PATH", "")]
config.environment["PATH"] = os.pathsep.join(path)
config.environment["ATTN_CACHE"] = "off"
config.environment["HOME"] = os.environ.get("HOME", "/nonexistent")
config.substitutions.insert(0, ("%python", sys.executable))
# `%exit 2 attnc …` fails unless the program ends with that code: a crash or another kind of failure is told apart.
config.substitutions.append(("%exit", sys.executable + " " + os.path.join(config.test_source_root, "exit_code.py")))
config.substitutions.append(("%examples", os.path.join(config.attn_source_dir, "examples")))

if not config.ptxas.endswith("NOTFOUND") and config.ptxas:
    config.available_features.add("ptxas")
    config.substitutions.append(("%ptxas", config.ptxas))
else:
    config.substitutions.append(("%ptxas", "false"))

# nvdisasm: of the toolkit, or where scripts/fetch_nvdisasm puts it.
disassembler = shutil.which("nvdisasm", path=os.pathsep.join(
    [os.environ.get("PATH", ""), "/usr/local/cuda/bin", os.path.join(config.attn_binary_dir, "disassembler")]))
if disassembler:
    config.available_features.add("nvdisasm")
    config.environment["PATH"] += os.pathsep + os.path.dirname(disassembler)

# ATTN_CHECK_ROUNDTRIP=1 reruns every test with IR printed and read back between passes.
if os.environ.get("ATTN_CHECK_ROUNDTRIP"):
    config.substitutions.append(("attn-opt", "attn-opt --verify-roundtrip"))
