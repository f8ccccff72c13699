// Classifies the tiles for concrete extents, scalars and tensors, by evaluating region `ranges` as the kernel does.
#include "driver/Compiler.h"
#include "driver/ListedBlocks.h"
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

/// `queries`: of a tile.
static Result<std::vector<TileRanges>> classifyHead(Region &ranges, const RegionInputs &inputs, std::int64_t queries) {
  std::vector<TileRanges> tiles;
  std::int64_t qLen = inputs.extent("q_len").value_or(0), kvLen = inputs.extent("kv_len").value_or(0);
  for (std::int64_t first = 0; first < qLen; first += queries) {
    TileRanges tile{first, std::min(first + queries, qLen) - 1, {}, {}};
    if (ranges.empty()) {
      tile.visit = tile.full = {{0, kvLen}};
    } else {
      std::string reason;
      std::optional<TileKeyRanges> found = evaluateRanges(ranges, inputs, first, first + queries - 1, &reason);
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

/// The number of heads of a tensor of a plan.
static std::int64_t headsOf(ir::AttnTensorType type, const RegionInputs &inputs) {
  auto extent = [&](std::string_view name) { return inputs.extent(name); };
  return type.getSize(type.getRank() - 2).evaluate(extent).value_or(1);
}

namespace {

/// A specification lowered to where its attention has ranges and a schedule, with what they are evaluated on.
class LoweredAttention {
public:
  LoweredAttention(const CompileRequest &request, const std::map<std::string, double> &values, const TensorLookup &tensor)
      : session(request), values(values), tensor(tensor) {}
  Status lower();

  /// Whether requests have lengths of their own.
  bool hasOwnLengths() const { return values.contains("q_len.0") || values.contains("kv_len.0"); }

  ir::OnlineAttentionOp attention;
  RegionInputs inputs;
  std::int64_t qHeads = 1, kvHeads = 1, batch = 1;

private:
  std::optional<std::int64_t> ofRequest(std::string_view name) const;

  Session session;
  const std::map<std::string, double> &values;
  const TensorLookup &tensor;
  OwningOpRef<ModuleOp> module;
};

} // namespace

/// Lengths by request stand under names of their own (dsl/RequestRows.h), from which the starts follow.
std::optional<std::int64_t> LoweredAttention::ofRequest(std::string_view name) const {
  auto length = [&](std::string_view extent, std::int64_t b) {
    auto found = values.find(fmt::format("{}.{}", extent, b));
    return found == values.end() ? std::nullopt : std::optional(static_cast<std::int64_t>(found->second));
  };
  if (name == "q_len" || name == "kv_len")
    return length(name, inputs.b);
  if (name != "q_start" && name != "kv_start")
    return std::nullopt;
  std::string_view extent = name == "q_start" ? "q_len" : "kv_len";
  std::int64_t start = 0;
  for (std::int64_t b = 0; b < inputs.b; ++b)
    start += length(extent, b).value_or(static_cast<std::int64_t>(valueIn(values, extent).value_or(0)));
  return start;
}

Status LoweredAttention::lower() {
  Result<OwningOpRef<ModuleOp>> lowered = session.lower(Stage::Attn);
  if (!lowered)
    return lowered.status();
  module = std::move(*lowered);
  module->walk([&](ir::OnlineAttentionOp op) { attention = op; });
  if (!attention)
    return Status(StatusCode::Unsupported, "there is no attention over key ranges to classify");
  inputs = regionInputs(attention, values, tensor);
  inputs.extent = [this, otherwise = inputs.extent](std::string_view name) {
    std::optional<std::int64_t> own = ofRequest(name);
    return own ? own : otherwise(name);
  };
  qHeads = headsOf(attention.getQueryType(), inputs);
  kvHeads = headsOf(attention.getKeyType(), inputs);
  batch = inputs.extent("batch").value_or(1);
  return {};
}

/// Calls `visit` for each request and head whose tiles may differ from others', until it fails.
template <typename Visit> static Status forEachHead(LoweredAttention &lowered, const TileClasses &classes, Visit visit) {
  std::int64_t groupSize = std::max<std::int64_t>(1, lowered.qHeads / lowered.kvHeads);
  for (lowered.inputs.b = 0; lowered.inputs.b < (classes.dependsOnRequest ? lowered.batch : 1); ++lowered.inputs.b)
    for (lowered.inputs.h = 0; lowered.inputs.h < (classes.dependsOnHead ? lowered.qHeads : 1); ++lowered.inputs.h) {
      lowered.inputs.kvHead = lowered.inputs.h / groupSize;
      if (Status status = visit(); !status)
        return status;
    }
  return {};
}

Result<TileClasses> classifyTiles(const CompileRequest &request, const std::map<std::string, double> &values,
                                  const TensorLookup &tensor) {
  LoweredAttention lowered(request, values, tensor);
  if (Status status = lowered.lower(); !status)
    return status;
  TileClasses classes;
  DictionaryAttr schedule = lowered.attention.getScheduleAttr();
  classes.schedule = {scheduleEntry(schedule, "block_m"), scheduleEntry(schedule, "block_n"), scheduleEntry(schedule, "stages"),
                      scheduleEntry(schedule, "warps")};
  if (classes.schedule.blockM <= 0 || classes.schedule.blockN <= 0)
    return Status(StatusCode::Internal, "the attention has no schedule");

  Region &ranges = lowered.attention.getRanges();
  findDependence(ranges, classes);
  const bool isListed = scheduleEntry(schedule, "listed") != 0;
  if (isListed)
    findDependence(lowered.attention.getMask(), classes);
  classes.dependsOnRequest |= lowered.hasOwnLengths();
  // Query heads that share tiles are counted once.
  std::int64_t pack = std::max<std::int64_t>(1, scheduleEntry(schedule, "pack"));
  classes.copies = (classes.dependsOnRequest ? 1 : lowered.batch) * (classes.dependsOnHead ? 1 : lowered.qHeads / pack);
  Status status = forEachHead(lowered, classes, [&]() -> Status {
    if (lowered.inputs.h % pack != 0)
      return {};
    Result<std::vector<TileRanges>> tiles = classifyHead(ranges, lowered.inputs, classes.schedule.blockM / pack);
    if (!tiles)
      return tiles.status();
    for (TileRanges &tile : *tiles) {
      if (!isListed)
        break;
      if (Status status = listBlocks(lowered.attention.getMask(), lowered.inputs, classes.schedule.blockN, tile); !status)
        return status;
    }
    if (lowered.inputs.b == 0 && lowered.inputs.h == 0)
      classes.tiles = std::move(*tiles);
    else
      classes.others.push_back(std::move(*tiles));
    return {};
  });
  if (!status)
    return status;
  return classes;
}

/// Points in partial tiles that are looked at one by one, at most.
static constexpr double kMaxEvaluatedPoints = 1 << 22;

static double lengthOf(const std::vector<KeyInterval> &ranges) {
  double length = 0;
  for (auto [begin, end] : ranges)
    length += static_cast<double>(end - begin);
  return length;
}

/// Keys of `visit` outside of `full` that the mask shows to `row`.
static Result<double> visibleInPartial(Region &mask, const RegionInputs &inputs, const TileRanges &tile, std::int64_t row) {
  double count = 0;
  auto isFull = [&](std::int64_t key) {
    return std::any_of(tile.full.begin(), tile.full.end(), [&](const KeyInterval &range) { return range.first <= key && key < range.second; });
  };
  for (auto [begin, end] : tile.visit)
    for (std::int64_t key = begin; key < end; ++key) {
      if (isFull(key))
        continue;
      std::string reason;
      std::optional<bool> isVisible = evaluateMask(mask, inputs, row, key, &reason);
      if (!isVisible)
        return Status(StatusCode::InvalidArgument, fmt::format("the mask depends on what is not given: {}", reason));
      count += *isVisible;
    }
  return count;
}

Result<VisiblePoints> countVisiblePoints(const CompileRequest &request, const std::map<std::string, double> &values,
                                         const TensorLookup &tensor) {
  Result<TileClasses> classes = classifyTiles(request, values, tensor);
  if (!classes)
    return classes.status();
  LoweredAttention lowered(request, values, tensor);
  if (Status status = lowered.lower(); !status)
    return status;
  Region &mask = lowered.attention.getMask();
  TileClasses dependence; // of the mask, which may differ between heads where the ranges do not
  findDependence(lowered.attention.getRanges(), dependence);
  findDependence(mask, dependence);
  dependence.dependsOnRequest |= lowered.hasOwnLengths();
  std::vector<const std::vector<TileRanges> *> heads = {&classes->tiles};
  for (const std::vector<TileRanges> &other : classes->others)
    heads.push_back(&other);
  double partial = 0;
  for (const std::vector<TileRanges> *head : heads)
    for (const TileRanges &tile : *head)
      partial += mask.empty() ? 0 : (lengthOf(tile.visit) - lengthOf(tile.full)) * static_cast<double>(tile.lastRow - tile.firstRow + 1);
  partial *= dependence.dependsOnHead && !classes->dependsOnHead ? static_cast<double>(lowered.qHeads) : 1;
  partial *= dependence.dependsOnRequest && !classes->dependsOnRequest ? static_cast<double>(lowered.batch) : 1;
  const auto step = static_cast<std::int64_t>(partial / kMaxEvaluatedPoints) | 1; // odd, so that it meets no power of two
  VisiblePoints points{.count = 0, .isExact = step == 1};
  const double copies = static_cast<double>((dependence.dependsOnRequest ? 1 : lowered.batch) * (dependence.dependsOnHead ? 1 : lowered.qHeads));
  // Rows of tiles of a request: one for all its heads, one a head, or one for the heads that share tiles.
  const std::int64_t perRequest = static_cast<std::int64_t>(heads.size()) / (classes->dependsOnRequest ? std::max<std::int64_t>(1, lowered.batch) : 1);
  const std::int64_t headsOfRow = std::max<std::int64_t>(1, lowered.qHeads / perRequest);
  Status status = forEachHead(lowered, dependence, [&]() -> Status {
    const std::int64_t b = classes->dependsOnRequest ? lowered.inputs.b : 0;
    for (const TileRanges &tile : *heads[static_cast<std::size_t>(b * perRequest + lowered.inputs.h / headsOfRow)]) {
      const double rows = static_cast<double>(tile.lastRow - tile.firstRow + 1);
      if (mask.empty()) {
        points.count += copies * rows * lengthOf(tile.visit);
        continue;
      }
      points.count += copies * rows * lengthOf(tile.full);
      double seen = 0, rowsSeen = 0;
      std::int64_t first = std::min(tile.firstRow + step / 2, tile.lastRow);
      for (std::int64_t row = first; row <= tile.lastRow; row += step, ++rowsSeen) {
        Result<double> visible = visibleInPartial(mask, lowered.inputs, tile, row);
        if (!visible)
          return visible.status();
        seen += *visible;
      }
      points.count += copies * seen * rows / rowsSeen;
    }
    return {};
  });
  if (!status)
    return status;
  return points;
}

} // namespace attn::driver
