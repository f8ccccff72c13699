// The one place where all stages meet: text (or IR of a later stage) in, text of any stage or a compiled plan out.
//
// Free of LLVM and MLIR in this header, so that the runtime's just-in-time part and the tools compile fast.
// Every failure is a `Status` whose message holds the rendered diagnostics (file, line, column, caret). Functions are
// thread-safe: each call owns its context.
#pragma once

#include "attn/Result.h"
#include "attn/Status.h"
#include "driver/Stage.h"
#include "runtime/manifest/KernelManifest.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace attn {
struct HostTensor;
namespace dsl {
class TypedSpec;
}
} // namespace attn

namespace attn::driver {

struct CompileRequest {
  std::string source;                          ///< text of stage `from`
  std::string fileName = "<text>";             ///< for messages and relative imports
  Stage from = Stage::Source;
  std::string attention;                       ///< which one of the file; empty: the only one
  std::string target = "sm_80";
  std::map<std::string, std::string> defines;  ///< `-D name=value`
  std::string schedule;                        ///< `block_m=128,block_n=64,…`; empty: by the table
  bool checked = false;                        ///< trap on indices out of range
  bool tf32 = false;                           ///< round f32 operands of matrix products to tf32
  bool approximateTanh = false;                ///< `tanh` in a score by the target's instruction, relative error 2^-11
  bool wantRemarks = false;                    ///< collect remarks into `CompiledPlan::remarks`
};

struct CompiledPlan {
  PlanManifest manifest;
  std::string ptx;
  std::string warnings;                        ///< rendered, empty if none
  std::vector<std::string> remarks;            ///< what was fused, classified, scheduled
};

/// The text of `stage` (up to `Ptx`). `warnings`, if given, receives what was said without failing, rendered.
Result<std::string> emitStage(const CompileRequest &request, Stage stage, std::string *warnings = nullptr);

/// Everything a device needs. `request.from` may be `Source`, `Attn` or `Tile` (later stages have lost the manifest).
Result<CompiledPlan> compileSpec(const CompileRequest &request);

/// What the cache key is made of: the canonical `attn` IR (or the text of a later `from` stage), target and options.
Result<std::string> canonicalText(const CompileRequest &request);

/// The typed form, for the float64 evaluation. `request.from` must be `Source`.
Result<std::unique_ptr<dsl::TypedSpec>> analyzeSpec(const CompileRequest &request);

/// The canonical form of a specification's text.
Result<std::string> formatSource(const CompileRequest &request);
/// The text after the changes that its messages offer. `messages` receives what was said, rendered.
std::string fixSource(const CompileRequest &request, std::string &messages);
std::string_view preludeText();

/// Names of the attentions in a file, in order.
Result<std::vector<std::string>> listAttentions(const CompileRequest &request);

/// Half-open key ranges a tile of query rows visits, and those in which every key is visible to every row.
struct TileRanges {
  std::int64_t firstRow = 0, lastRow = 0;
  std::vector<std::pair<std::int64_t, std::int64_t>> visit, full;
};
struct ScheduleSummary {
  std::int64_t blockM = 0, blockN = 0, stages = 0, warps = 0;
};
/// How the mask's analysis classifies the tiles at concrete extents and scalar values.
struct TileClasses {
  ScheduleSummary schedule;
  std::vector<TileRanges> tiles;               ///< request 0, query head 0: a row of query tiles, top to bottom
  std::vector<std::vector<TileRanges>> others; ///< other requests and heads, where the ranges differ by them
  bool dependsOnRequest = false, dependsOnHead = false;
  std::int64_t copies = 1;                     ///< requests and heads that share each row of tiles above
};
/// A tensor argument by name, as the caller has it; null if there is none. Asked only for what the mask's ranges read.
using TensorLookup = std::function<const HostTensor *(std::string_view name)>;
Result<TileClasses> classifyTiles(const CompileRequest &request, const std::map<std::string, double> &values,
                                  const TensorLookup &tensor = {});

/// Points (query row, key) that the mask shows, over all requests and query heads.
struct VisiblePoints {
  double count = 0;
  bool isExact = true;                         ///< false: of very many points in partial tiles a part was looked at
};
Result<VisiblePoints> countVisiblePoints(const CompileRequest &request, const std::map<std::string, double> &values,
                                         const TensorLookup &tensor = {});

} // namespace attn::driver
