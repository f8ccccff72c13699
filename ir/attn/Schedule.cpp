// See Schedule.h.
#include "ir/attn/Schedule.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;

namespace attn::ir {

static constexpr StringRef kNames[] = {"block_m", "block_n", "stages", "warps"};
static constexpr StringRef kPack = "pack", kParts = "parts"; ///< left out where they are 1
static constexpr StringRef kEmulate = "emulate";             ///< left out where it is 0
static constexpr StringRef kChunked = "chunked";               ///< left out where it is 0
static constexpr StringRef kListed = "listed";                 ///< left out where it is 0
static constexpr StringRef kKept = "kept";                     ///< left out where it is 0
static constexpr StringRef kSplit = "split";                   ///< only asked for: the attribute has `kFewRows`

int64_t *Schedule::entry(std::string_view name) {
  if (StringRef(name) == kPack)
    return &pack;
  if (StringRef(name) == kChunked)
    return &chunked;
  if (StringRef(name) == kSplit)
    return &split;
  if (StringRef(name) == kListed)
    return &listed;
  if (StringRef(name) == kKept)
    return &kept;
  int64_t *entries[] = {&blockM, &blockN, &stages, &warps};
  for (auto [own, value] : llvm::zip_equal(kNames, entries))
    if (own == StringRef(name))
      return value;
  return nullptr;
}

DictionaryAttr Schedule::toAttr(MLIRContext *context) const {
  Builder builder(context);
  Schedule copy = *this;
  SmallVector<NamedAttribute> entries;
  for (StringRef name : kNames)
    entries.push_back(builder.getNamedAttr(name, builder.getI64IntegerAttr(*copy.entry(name))));
  if (pack != 1)
    entries.push_back(builder.getNamedAttr(kPack, builder.getI64IntegerAttr(pack)));
  if (emulate != 0)
    entries.push_back(builder.getNamedAttr(kEmulate, builder.getI64IntegerAttr(emulate)));
  if (parts != 1)
    entries.push_back(builder.getNamedAttr(kParts, builder.getI64IntegerAttr(parts)));
  if (chunked != 0)
    entries.push_back(builder.getNamedAttr(kChunked, builder.getI64IntegerAttr(chunked)));
  if (listed != 0)
    entries.push_back(builder.getNamedAttr(kListed, builder.getI64IntegerAttr(listed)));
  if (kept != 0)
    entries.push_back(builder.getNamedAttr(kKept, builder.getI64IntegerAttr(kept)));
  return builder.getDictionaryAttr(entries);
}

FailureOr<Schedule> Schedule::fromAttr(DictionaryAttr attr, function_ref<InFlightDiagnostic()> emitError) {
  if (!attr)
    return emitError() << "expects attribute `schedule`";
  Schedule schedule;
  for (StringRef name : kNames) {
    auto number = attr.getAs<IntegerAttr>(name);
    if (!number || number.getInt() < 1)
      return emitError() << "expects a positive integer `" << name << "` in `schedule`, but got " << attr;
    *schedule.entry(name) = number.getInt();
  }
  if (auto number = attr.getAs<IntegerAttr>(kPack))
    schedule.pack = number.getInt();
  if (schedule.pack < 1 || schedule.blockM % schedule.pack != 0)
    return emitError() << "schedule: `pack` is " << schedule.pack << ", but must divide `block_m`, " << schedule.blockM;
  if (auto number = attr.getAs<IntegerAttr>(kChunked))
    schedule.chunked = number.getInt();
  if (auto number = attr.getAs<IntegerAttr>(kEmulate))
    schedule.emulate = number.getInt();
  if (auto number = attr.getAs<IntegerAttr>(kListed))
    schedule.listed = number.getInt();
  if (auto number = attr.getAs<IntegerAttr>(kKept))
    schedule.kept = number.getInt();
  if (auto number = attr.getAs<IntegerAttr>(kParts))
    schedule.parts = number.getInt();
  if (schedule.parts < 1 || schedule.warps % schedule.parts != 0 || schedule.blockN % (8 * schedule.parts) != 0)
    return emitError() << "schedule: `parts` is " << schedule.parts << ", but must divide `warps`, " << schedule.warps
                       << ", and the tiles of 8 keys of `block_n`, " << schedule.blockN;
  int64_t rows = 16 * schedule.warps / schedule.parts;
  if (schedule.blockM % rows != 0)
    return emitError() << "schedule: `block_m` is " << schedule.blockM << ", but must be a multiple of "
                       << rows << ", 16 rows a warp";
  if (schedule.blockN % 16 != 0)
    return emitError() << "schedule: `block_n` is " << schedule.blockN << ", but must be a multiple of 16";
  return schedule;
}

} // namespace attn::ir
