// See MaskTestSupport.h.
#include "passes/MaskTestSupport.h"

#include "ir/attn/AttnDialect.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace mlir;

namespace attn::mask_test {

const char *const kArguments =
    R"(%p: i32 {attn.name = "p", attn.in = ["1", "64"]}, %w: i32 {attn.name = "w"},
       %qdoc: !attn.tensor<[batch, q_len], i32, ascending> {attn.name = "qdoc"},
       %kdoc: !attn.tensor<[batch, kv_len], i32, ascending> {attn.name = "kdoc"},
       %qend: !attn.tensor<[batch, q_len], i32> {attn.name = "qend", attn.in = ["1", "q_len"]},
       %kend: !attn.tensor<[batch, kv_len], i32> {attn.name = "kend", attn.in = ["1", "q_len"]},
       %kflag: !attn.tensor<[batch, kv_len], i8> {attn.name = "kflag", attn.bool},
       %lengths: !attn.tensor<[batch], i32> {attn.name = "lengths"})";

ClassifiedMask::ClassifiedMask(const std::string &mask) : context(std::make_unique<MLIRContext>(MLIRContext::Threading::DISABLED)) {
  context->loadDialect<ir::AttnDialect, arith::ArithDialect, func::FuncDialect, math::MathDialect,
                       vector::VectorDialect>();
  std::string text = R"(!q = !attn.tensor<[batch, q_len, 1, 8], f16>   !kv = !attn.tensor<[batch, kv_len, 1, 8], f16>
    func.func @plan(%query: !q, %key: !kv, %value: !kv, )" + std::string(kArguments) + R"() -> !q attributes {attn.plan} {
      %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
        mask {)" + mask + R"(}
      return %out : !q })";
  ScopedDiagnosticHandler quiet(context.get(), [](Diagnostic &diagnostic) {
    // A mask that hides every key is refused, which a random one may do.
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error && diagnostic.str().find("hides every key") == std::string::npos)
      ADD_FAILURE() << diagnostic.str();
    return success();
  });
  module = parseSourceString<ModuleOp>(text, context.get());
  if (!module)
    return;
  PassManager manager(context.get());
  manager.addPass(createCSEPass());
  manager.addNestedPass<func::FuncOp>(createClassifyMask());
  if (failed(manager.run(*module)))
    module = nullptr;
}

ClassifiedMask::~ClassifiedMask() = default;

std::string ClassifiedMask::text() const {
  std::string text;
  llvm::raw_string_ostream stream(text);
  (*module)->print(stream);
  return text;
}

Region &ClassifiedMask::region(bool isMask) const {
  Region *result = nullptr;
  (*module)->walk([&](ir::AttentionOp op) { result = isMask ? &op.getMask() : &op.getRanges(); });
  return *result;
}

RegionInputs ClassifiedMask::inputsOf(const Case &inputs) const {
  RegionInputs result;
  result.extent = [&](std::string_view name) -> std::optional<int64_t> {
    if (name == "batch")
      return 1;
    return name == "q_len" ? std::optional(inputs.qLen) : name == "kv_len" ? std::optional(inputs.kvLen) : std::nullopt;
  };
  result.scalar = [&](std::string_view name) -> std::optional<double> {
    auto found = inputs.scalars.find(name);
    return found == inputs.scalars.end() ? std::nullopt : std::optional(found->second);
  };
  result.element = [&](std::string_view name, const std::vector<int64_t> &indices) -> std::optional<double> {
    auto found = inputs.tables.find(name);
    if (found == inputs.tables.end() || found->second.empty())
      return std::nullopt;
    // The caller's error in a mask (an index out of range) reads something, as it would on a device.
    int64_t last = static_cast<int64_t>(found->second.size()) - 1;
    return static_cast<double>(found->second[std::clamp<int64_t>(indices.back(), 0, last)]);
  };
  return result;
}

TileKeyRanges ClassifiedMask::ranges(const Case &inputs, int64_t firstRow, int64_t lastRow) const {
  std::string reason;
  auto result = evaluateRanges(region(false), inputsOf(inputs), firstRow, lastRow, &reason);
  EXPECT_TRUE(result) << reason;
  return result.value_or(TileKeyRanges());
}

bool ClassifiedMask::visible(const Case &inputs, int64_t row, int64_t key) const {
  Region &mask = region(true);
  if (mask.empty())
    return true;
  std::string reason;
  auto result = evaluateMask(mask, inputsOf(inputs), row, key, &reason);
  EXPECT_TRUE(result) << reason;
  return result.value_or(false);
}

static bool isIn(const std::vector<KeyInterval> &set, int64_t key) {
  return std::any_of(set.begin(), set.end(), [&](const KeyInterval &i) { return i.first <= key && key < i.second; });
}

void ClassifiedMask::expectSound(const Case &inputs, int64_t blockM) const {
  for (int64_t first = 0; first < inputs.qLen; first += blockM) {
    int64_t last = std::min(first + blockM, inputs.qLen) - 1;
    // Kernels may also ask for the rows of a tile that reaches beyond the last one.
    for (int64_t asked : {last, first + blockM - 1}) {
      TileKeyRanges tile = ranges(inputs, first, asked);
      for (int64_t key = 0; key < inputs.kvLen; ++key) {
        bool visited = isIn(tile.visit, key), full = isIn(tile.full, key);
        for (int64_t row = first; row <= last; ++row) {
          bool shown = visible(inputs, row, key);
          ASSERT_TRUE(visited || !shown) << "key " << key << " is skipped, but row " << row << " sees it\n" << text();
          ASSERT_TRUE(shown || !full) << "key " << key << " is in a full range, but hidden from row " << row << "\n"
                                      << text();
        }
      }
    }
  }
}

BlockCounts ClassifiedMask::byRanges(const Case &inputs, int64_t blockM, int64_t blockN) const {
  BlockCounts counts;
  for (int64_t first = 0; first < inputs.qLen; first += blockM) {
    TileKeyRanges tile = ranges(inputs, first, std::min(first + blockM, inputs.qLen) - 1);
    for (int64_t begin = 0; begin < inputs.kvLen; begin += blockN) {
      int64_t end = begin + blockN;
      bool visited = std::any_of(tile.visit.begin(), tile.visit.end(),
                                 [&](const KeyInterval &i) { return i.first < end && begin < i.second; });
      bool full = std::any_of(tile.full.begin(), tile.full.end(),
                              [&](const KeyInterval &i) { return i.first <= begin && end <= i.second; });
      ++(full ? counts.full : visited ? counts.partial : counts.skipped);
    }
  }
  return counts;
}

BlockCounts ClassifiedMask::byPoints(const Case &inputs, int64_t blockM, int64_t blockN) const {
  BlockCounts counts;
  for (int64_t first = 0; first < inputs.qLen; first += blockM)
    for (int64_t begin = 0; begin < inputs.kvLen; begin += blockN) {
      bool any = false, all = begin + blockN <= inputs.kvLen;
      for (int64_t row = first; row < std::min(first + blockM, inputs.qLen); ++row)
        for (int64_t key = begin; key < std::min(begin + blockN, inputs.kvLen); ++key)
          (visible(inputs, row, key) ? any : all) = visible(inputs, row, key);
      ++(all ? counts.full : any ? counts.partial : counts.skipped);
    }
  return counts;
}

} // namespace attn::mask_test
