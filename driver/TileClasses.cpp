// Classifies the tiles for concrete extents, scalars and tensors, by evaluating region `ranges` as the kernel does.
#include "driver/Compiler.h"
#include "driver/Session.h"
#include "support/HostTensor.h"

#include "ir/attn/AttnDialect.h"
#include "passes/attn/EvaluateRegion.h"

#include <fmt/format.h>

using namespace mlir;

namespace attn::driver {

static std::int64_t scheduleEntry(DictionaryAttr schedule, StringRef name) {
  auto entry = schedule ? schedule.getAs<IntegerAttr>(name) : IntegerAttr();
  return entry ? entry.getInt() : 0;
}

static std::optional<double> valueIn(const std::map<std::string, double> &values, std::string_view name) {
  auto found = values.find(std::string(name));
  return found == values.end() ? std::nullopt : std::optional(found->second);
}

/// The default of the plan's scalar argument `name`.
static std::optional<double> defaultScalar(func::FuncOp plan, std::string_view name) {
  for (unsigned i = 0; i < plan.getNumArguments(); ++i) {
    auto argument = plan.getArgAttrOfType<StringAttr>(i, ir::AttnDialect::kName);
    if (!argument || argument.getValue() != StringRef(name))
      continue;
    Attribute value = plan.getArgAttr(i, ir::AttnDialect::kDefault);
    if (auto number = dyn_cast_or_null<FloatAttr>(value))
      return number.getValueAsDouble();
    if (auto number = dyn_cast_or_null<IntegerAttr>(value))
      return static_cast<double>(number.getInt());
  }
  return std::nullopt;
}

/// Nothing for an index outside of the tensor.
static std::optional<double> elementOf(const HostTensor &tensor, const std::vector<std::int64_t> &indices) {
  if (indices.size() != tensor.shape.size())
    return std::nullopt;
  std::int64_t flat = 0;
  for (std::size_t d = 0; d < indices.size(); ++d) {
    if (indices[d] < 0 || indices[d] >= tensor.shape[d])
      return std::nullopt;
    flat = flat * tensor.shape[d] + indices[d];
  }
  return tensor.get(flat);
}

static RegionInputs regionInputs(ir::OnlineAttentionOp attention, const std::map<std::string, double> &values,
                                 const TensorLookup &tensor) {
  RegionInputs inputs;
  inputs.extent = [&values](std::string_view name) -> std::optional<std::int64_t> {
    std::optional<double> value = valueIn(values, name);
    return value ? std::optional(static_cast<std::int64_t>(*value)) : std::nullopt;
  };
  auto plan = attention->getParentOfType<func::FuncOp>();
  inputs.scalar = [&values, plan](std::string_view name) {
    std::optional<double> value = valueIn(values, name);
    return value ? value : defaultScalar(plan, name);
  };
  inputs.element = [&tensor](std::string_view name, const std::vector<std::int64_t> &indices) -> std::optional<double> {
    const HostTensor *found = tensor ? tensor(name) : nullptr;
    return found ? elementOf(*found, indices) : std::nullopt;
  };
  return inputs;
}

static Result<std::vector<TileRanges>> classifyHead(Region &ranges, const RegionInputs &inputs, std::int64_t blockM) {
  std::vector<TileRanges> tiles;
  std::int64_t qLen = inputs.extent("q_len").value_or(0), kvLen = inputs.extent("kv_len").value_or(0);
  for (std::int64_t first = 0; first < qLen; first += blockM) {
    TileRanges tile{first, std::min(first + blockM, qLen) - 1, {}, {}};
    if (ranges.empty()) {
      tile.visit = tile.full = {{0, kvLen}};
    } else {
      std::string reason;
      std::optional<TileKeyRanges> found = evaluateRanges(ranges, inputs, first, first + blockM - 1, &reason);
      if (!found)
        return Status(StatusCode::InvalidArgument, fmt::format("the tiles depend on what is not given: {}", reason));
      tile.visit = found->visit;
      tile.full = found->full;
    }
    tiles.push_back(std::move(tile));
  }
  return tiles;
}

/// Which indices of the tile region `ranges` reads.
static void findDependence(Region &ranges, TileClasses &classes) {
  ranges.walk([&](ir::IndexOp index) {
    classes.dependsOnRequest |= index.getKind() == ir::IndexKind::b;
    classes.dependsOnHead |= index.getKind() == ir::IndexKind::h || index.getKind() == ir::IndexKind::kv_head;
  });
}

/// The number of heads in dimension 2 of a tensor of a plan.
static std::int64_t headsOf(ir::AttnTensorType type, const RegionInputs &inputs) {
  auto extent = [&](std::string_view name) { return inputs.extent(name); };
  return type.getRank() == 4 ? type.getSize(2).evaluate(extent).value_or(1) : 1;
}

Result<TileClasses> classifyTiles(const CompileRequest &request, const std::map<std::string, double> &values,
                                  const TensorLookup &tensor) {
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

  RegionInputs inputs = regionInputs(attention, values, tensor);
  findDependence(attention.getRanges(), classes);
  std::int64_t qHeads = headsOf(attention.getQueryType(), inputs), kvHeads = headsOf(attention.getKeyType(), inputs);
  std::int64_t batch = inputs.extent("batch").value_or(1), groupSize = std::max<std::int64_t>(1, qHeads / kvHeads);
  for (inputs.b = 0; inputs.b < (classes.dependsOnRequest ? batch : 1); ++inputs.b)
    for (inputs.h = 0; inputs.h < (classes.dependsOnHead ? qHeads : 1); ++inputs.h) {
      inputs.kvHead = inputs.h / groupSize;
      Result<std::vector<TileRanges>> tiles = classifyHead(attention.getRanges(), inputs, classes.schedule.blockM);
      if (!tiles)
        return tiles.status();
      if (inputs.b == 0 && inputs.h == 0)
        classes.tiles = std::move(*tiles);
      else
        classes.others.push_back(std::move(*tiles));
    }
  return classes;
}

} // namespace attn::driver
