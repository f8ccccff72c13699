"""The lint scripts find what they are for, and stay silent on what is right."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import file_length
import glossary
import layers


def expect(condition, what):
    if not condition:
        sys.exit(f"lint self test: {what}")


expect(layers.check_text("runtime/core/Launch.cpp", '#include "llvm/ADT/StringRef.h"\n'), "LLVM in the runtime is not found")
expect(layers.check_text("passes/attn/FoldScale.cpp", '#include "dsl/Ast.h"\n'), "passes including dsl is not found")
expect(layers.check_text("dsl/Sema.cpp", '#include "ir/attn/AttnDialect.h"\n'), "dsl including ir is not found")
expect(layers.check_text("runtime/cuda/CudaDevice.cpp", '#include "runtime/emulator/Emulator.h"\n'), "device including device is not found")
expect(not layers.check_text("dsl/AstToAttn.cpp", '#include "ir/attn/AttnDialect.h"\n'), "AstToAttn may include ir")
expect(not layers.check_text("codegen/KernelAbi.cpp", '#include "runtime/manifest/KernelManifest.h"\n'), "codegen may include the manifest")
expect(not layers.check_text("tools/attnc/Main.cpp", '#include "dsl/Ast.h"\n'), "tools may include anything")
expect(file_length.over_limit("a/B.cpp", 701) and not file_length.over_limit("a/B.cpp", 700), "file length")
expect(not file_length.over_limit("a/B.def", 5000), "tables are exempt")
expect(glossary.check_text("a.cpp", "int seqlen_k = 0;") and not glossary.check_text("a.cpp", "int kv_len = 0;"), "synonyms")
expect(glossary.check_name("dsl/LexerUtils.cpp") and not glossary.check_name("dsl/Lexer.cpp"), "file names")
print("lint self test: 11 expectations hold")
