// Hands collected diagnostics to MLIR's engine, with byte ranges as file, line and column.
#pragma once

#include "dsl/Diagnostics.h"
#include "dsl/SourceFiles.h"

namespace mlir {
class MLIRContext;
}

namespace attn::dsl {

void emitDiagnostics(mlir::MLIRContext &context, const SourceFiles &files, const DiagnosticSink &diagnostics);

} // namespace attn::dsl
