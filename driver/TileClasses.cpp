// Classifies the tiles of one head for concrete extents and scalars, by evaluating region `ranges` as the kernel does.
#include "driver/Compiler.h"
#include "driver/Session.h"

#include "ir/attn/AttnDialect.h"
#include "passes/attn/EvaluateRegion.h"

#include <fmt/format.h>

using namespace mlir;

namespace attn::driver {

static std::int64_t scheduleEntry(DictionaryAttr schedule, StringRef name) {
  auto entry = schedule ? schedule.getAs<IntegerAttr>(name) : IntegerAttr();
  return entry ? entry.getInt() : 0;
}

Result<TileClasses> classifyTiles(const CompileRequest &request, const std::map<std::string, double> &values) {
  Session session(request);
  Result<OwningOpRef<ModuleOp>> module = session.lower(Stage::Attn);
  if (!module)
    return module.status();
  ir::OnlineAttentionOp attention;
  (*module)->walk([&](ir::OnlineAttentionOp op) { attention = op; });
  if (!attention)
    return Status(StatusCode::Unsupported, "there is no attention over key ranges to classify");

  TileClasses classes;
  DictionaryAttr schedule = attention.getScheduleAttr();
  classes.schedule = {scheduleEntry(schedule, "block_m"), scheduleEntry(schedule, "block_n"), scheduleEntry(schedule, "stages"),
                      scheduleEntry(schedule, "warps")};
  if (classes.schedule.blockM <= 0 || classes.schedule.blockN <= 0)
    return Status(StatusCode::Internal, "the attention has no schedule");

  RegionInputs inputs;
  auto lookUp = [&values](std::string_view name) -> std::optional<double> {
    auto found = values.find(std::string(name));
    return found == values.end() ? std::nullopt : std::optional(found->second);
  };
  inputs.extent = [&](std::string_view name) -> std::optional<std::int64_t> {
    std::optional<double> value = lookUp(name);
    return value ? std::optional(static_cast<std::int64_t>(*value)) : std::nullopt;
  };
  func::FuncOp plan = attention->getParentOfType<func::FuncOp>();
  inputs.scalar = [&, plan](std::string_view name) mutable -> std::optional<double> {
    if (std::optional<double> value = lookUp(name))
      return value;
    for (unsigned i = 0; i < plan.getNumArguments(); ++i) {
      auto argument = plan.getArgAttrOfType<StringAttr>(i, "attn.name");
      if (!argument || argument.getValue() != StringRef(name))
        continue;
      if (auto number = plan.getArgAttrOfType<FloatAttr>(i, "attn.default"))
        return number.getValueAsDouble();
      if (auto number = plan.getArgAttrOfType<IntegerAttr>(i, "attn.default"))
        return static_cast<double>(number.getInt());
    }
    return std::nullopt;
  };
  inputs.element = [](std::string_view, const std::vector<std::int64_t> &) -> std::optional<double> { return std::nullopt; };

  std::int64_t qLen = inputs.extent("q_len").value_or(0), kvLen = inputs.extent("kv_len").value_or(0);
  for (std::int64_t first = 0; first < qLen; first += classes.schedule.blockM) {
    TileRanges tile{first, std::min(first + classes.schedule.blockM, qLen) - 1, {}, {}};
    if (attention.getRanges().empty()) {
      tile.visit = tile.full = {{0, kvLen}};
    } else {
      std::string reason;
      std::optional<TileKeyRanges> ranges = evaluateRanges(attention.getRanges(), inputs, first, first + classes.schedule.blockM - 1, &reason);
      if (!ranges)
        return Status(StatusCode::InvalidArgument, fmt::format("the tiles depend on what is not given: {}", reason));
      tile.visit.assign(ranges->visit.begin(), ranges->visit.end());
      tile.full.assign(ranges->full.begin(), ranges->full.end());
    }
    classes.tiles.push_back(std::move(tile));
  }
  return classes;
}

} // namespace attn::driver
