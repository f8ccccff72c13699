// The entry of the language front end: text in, typed specifications or located diagnostics out.
//
// All text goes through the caller's SourceMgr (imports, the prelude and `-D` values are added to it), so that the
// handlers of MLIR print line and caret for each message. A failure has always reported at least one error.
#pragma once

#include "dsl/Prelude.h"
#include "dsl/TypedSpec.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/LogicalResult.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace llvm {
class SourceMgr;
}
namespace mlir {
class MLIRContext;
}

namespace attn::dsl {

struct AnalyzeOptions {
  std::map<std::string, std::string> defines;  ///< `-D name=value`
  std::string attention;                       ///< only this one; empty: all of the file
};

using TypedSpecs = std::vector<std::unique_ptr<TypedSpec>>;

/// Analyses the main buffer of `sources`.
llvm::FailureOr<TypedSpecs> analyze(mlir::MLIRContext &context, llvm::SourceMgr &sources,
                                    const AnalyzeOptions &options = {});
/// Puts `text` into an empty `sources` as `fileName`, then as above.
llvm::FailureOr<TypedSpecs> analyze(mlir::MLIRContext &context, llvm::SourceMgr &sources, llvm::StringRef fileName,
                                    llvm::StringRef text, const AnalyzeOptions &options = {});

/// The main buffer after the changes that its messages offer; the same text where they offer none. The messages are
/// reported as `analyze` does.
std::string fixed(mlir::MLIRContext &context, llvm::SourceMgr &sources, const AnalyzeOptions &options = {});

/// The attentions of the main buffer by name, in order; only their syntax is checked.
llvm::FailureOr<std::vector<std::string>> listAttentions(mlir::MLIRContext &context, llvm::SourceMgr &sources);

/// The canonical form of the main buffer; fails on syntax errors.
llvm::FailureOr<std::string> format(mlir::MLIRContext &context, llvm::SourceMgr &sources);

} // namespace attn::dsl
